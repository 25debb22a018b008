"""Four workers; each is a node, and each check is made once."""

from tickonce.contrib.gunicorn import hooks

workers = 4
graceful_timeout = 30  # what runs when a worker is told to go may end within this

post_worker_init, worker_int, worker_exit = hooks("site_check:scheduler")
