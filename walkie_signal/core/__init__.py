"""The rules of signaling, without I/O, clock or randomness. Time and ids are arguments."""
