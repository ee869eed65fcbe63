"""Bytes to messages and back, and the rules of one connection, without any I/O. docs/protocol.md says it in prose."""
