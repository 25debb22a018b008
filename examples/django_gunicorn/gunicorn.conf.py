"""Four workers; each is a node, and each reminder is sent once."""

from tickonce.contrib.gunicorn import hooks

wsgi_app = "cafe.wsgi"
workers = 4

post_worker_init, worker_int, worker_exit = hooks("tickonce.contrib.django:scheduler")
