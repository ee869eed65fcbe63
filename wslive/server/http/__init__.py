"""What is asked over HTTP: pages and files, the hosts' interface, an operator's questions, WebSockets' handshakes."""
