"""What is served beside the Socket.IO endpoint."""
