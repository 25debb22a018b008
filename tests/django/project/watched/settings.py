from cafe.settings import *  # noqa: F403  # the example's own, and an app more
from cafe.settings import INSTALLED_APPS as OF_THE_EXAMPLE

INSTALLED_APPS = [*OF_THE_EXAMPLE, "watched"]
ROOT_URLCONF = "watched.urls"
TICKONCE = {"slots": 5, "lease": "4s", "beat": "1s", "margin": "1s"}
