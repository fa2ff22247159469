"""Histories of live queries: recorded beside writers and kills of the server, and checked afterwards without one."""
