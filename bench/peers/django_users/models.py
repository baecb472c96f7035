"""The model: Django's own user with the attributes that django-scim2 asks for."""

from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Person(AbstractSCIMUserMixin, AbstractUser):
    """A user. scim_groups: what django-scim2 reads of memberships."""

    scim_groups = models.ManyToManyField("Team", related_name="user_set")


class Team(AbstractSCIMGroupMixin, Group):
    """A group."""
