from django.urls import path
from reminders import views

urlpatterns = [
    path("reminders/<slug:name>", views.reminder),
    path("health", views.health),
]
