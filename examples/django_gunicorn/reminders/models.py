from django.db import models


class Reminder(models.Model):
    name = models.SlugField(unique=True)


class Sent(models.Model):
    """One row a reminder that was sent: the run's token cannot be there twice."""

    token = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=50)
    process = models.IntegerField()
