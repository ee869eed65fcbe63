"""Who may, and from where: tokens and rates, identities, Host and Origin, networks. Nothing here knows a live room."""
