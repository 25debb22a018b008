from django.db import models


class Order(models.Model):
    name = models.CharField(max_length=60, unique=True)
    reminded = models.IntegerField(default=0)


class Seen(models.Model):
    """What jobs found around them."""

    token = models.CharField(max_length=255)
    zone = models.CharField(max_length=60)
    language = models.CharField(max_length=10)
    backend = models.BigIntegerField(default=0)
