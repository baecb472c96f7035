"""Where django-scim2 answers: at the root, as the others do."""

from django.urls import include, path

urlpatterns = [path("", include("django_scim.urls"))]
