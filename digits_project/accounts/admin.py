"""The admin's pages for tokens and the audit log."""

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html

from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken, AuditEntry, OidcIdentity


class TokenForm(forms.ModelForm):
    """A new token."""

    def clean_expires_at(self):
        moment = self.cleaned_data["expires_at"]
        if moment and moment <= timezone.now():
            raise ValidationError("This time is in the past: the token would never work. Choose a later time.")
        return moment


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    """Creates and withdraws tokens; the secret is shown once. Superusers see all tokens, other users their own."""

    list_display = ("name", "user", "scope", "expires_at", "created_at", "last_used_at")
    list_filter = ("scope", "user")
    readonly_fields = ("created_at", "last_used_at")
    fields = ("user", "name", "scope", "expires_at", "created_at", "last_used_at")

    def get_queryset(self, request):
        found = super().get_queryset(request)
        return found if request.user.is_superuser else found.filter(user=request.user)

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        """Only a superuser may create a token for another user, because a token acts as its user."""
        if db_field.name == "user" and not request.user.is_superuser:
            kwargs |= {"queryset": get_user_model().objects.filter(pk=request.user.pk), "initial": request.user.pk}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request, obj=None):
        return False

    def get_form(self, request, obj=None, change=False, **kwargs):
        return super().get_form(request, obj, change, form=TokenForm, **kwargs)

    def save_model(self, request, obj, form, change):
        token, secret = tokens.issue(obj.user, obj.name, obj.scope, obj.expires_at)
        obj.pk, obj.digest, obj.created_at = token.pk, token.digest, token.created_at
        shown = format_html("The token, shown only now: <code>{}</code>", secret)
        self.message_user(request, shown, messages.WARNING)

    def delete_model(self, request, obj):
        tokens.withdraw(obj)

    def delete_queryset(self, request, queryset):
        for token in queryset:
            tokens.withdraw(token)


@admin.register(OidcIdentity)
class OidcIdentityAdmin(admin.ModelAdmin):
    """Connects an account with a user of the provider. Only superusers may, because it lets that user log in."""

    list_display = ("user", "subject", "issuer")
    search_fields = ("user__username", "subject")

    def has_module_permission(self, request):
        return request.user.is_superuser

    def has_permission_as_superuser(self, request, obj=None):
        return request.user.is_active and request.user.is_superuser

    has_view_permission = has_change_permission = has_delete_permission = has_permission_as_superuser

    def has_add_permission(self, request):
        return self.has_permission_as_superuser(request)


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    list_display = ("at", "actor", "address", "action", "subject", "detail")
    list_filter = ("action", "at")
    search_fields = ("actor", "subject", "detail")
    date_hierarchy = "at"

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
