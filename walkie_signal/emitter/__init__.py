"""Emits to the clients of a service from a process that serves nobody, such as a scheduler or a Celery task."""
