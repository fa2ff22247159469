"""Mixed load that a server is killed under, journalled by its clients, and what is there afterwards compared with it."""
