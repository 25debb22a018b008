"""A small model of the protocol, explored exhaustively, and bound to the code."""
