"""Users: registration, profile, password, administration."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from upheld.reference.core.clock import Clock
from upheld.reference.core.problems import CONFLICT, FORBIDDEN, VALIDATION, WRONG_STATE, Problem, challenge
from upheld.reference.core.security import PasswordHasher
from upheld.reference.models import User
from upheld.reference.schemas.accounts import PasswordChange, ProfilePatch, Registration, UserOut, UserPage, UserPatch
from upheld.reference.unit_of_work import UnitOfWork, UnitsOfWork

from .principal import Principal


class Accounts:
    def __init__(self, units: UnitsOfWork, hasher: PasswordHasher, clock: Clock) -> None:
        self.units = units
        self.hasher = hasher
        self.clock = clock

    async def register(self, given: Registration) -> UserOut:
        if given.password.lower() == given.email:
            error = {"pointer": "#/body/password", "detail": "The password is the email address"}
            raise Problem(VALIDATION, "1 part of the request does not match.", extensions={"errors": [error]})
        return await self._create(given.email, given.password, given.name, "user")

    async def seed_admin(self, email: str, password: str) -> None:
        """Make the first administrator, or leave the one that is there."""
        try:
            await self._create(email, password, "Administrator", "admin")
        except Problem as problem:
            if problem.kind is not CONFLICT:
                raise

    async def _create(self, email: str, password: str, name: str | None, role: str) -> UserOut:
        digest = await self.hasher.hash(password)
        now = self.clock.now()
        user = User(
            id=uuid4(), email=email, password_hash=digest, name=name, role=role, disabled=False,
            created_at=now, updated_at=now,
        )  # fmt: skip
        try:
            async with self.units.writing() as uow:
                uow.users.add(user)
                await uow.flush()
                answer = UserOut.model_validate(user)
                await uow.commit()
        except IntegrityError:
            raise Problem(CONFLICT, "An account with this email address exists already.") from None
        return answer

    async def get(self, principal: Principal, user_id: UUID) -> UserOut:
        """One's own account, or anybody's for an administrator. Another's is as missing as one that never was."""
        if user_id != principal.user_id and not principal.is_admin:
            raise Problem.of_status(404)
        async with self.units.reading() as uow:
            user = await uow.users.get(user_id)
            if user is None:
                raise Problem.of_status(404)
            return UserOut.model_validate(user)

    async def page(self, limit: int, offset: int) -> UserPage:
        async with self.units.reading() as uow:
            users, total = await uow.users.page(limit, offset)
            items = [UserOut.model_validate(user) for user in users]
        return UserPage(items=items, total=total, limit=limit, offset=offset)

    async def change_profile(self, principal: Principal, patch: ProfilePatch) -> UserOut:
        return await self._change(principal.user_id, patch.model_dump(exclude_unset=True))

    async def administer(self, principal: Principal, user_id: UUID, patch: UserPatch) -> UserOut:
        """Change a user's role or disable them, which ends their sessions."""
        changes = patch.model_dump(exclude_unset=True)
        if user_id == principal.user_id and (changes.get("disabled") or changes.get("role", "admin") != "admin"):
            raise Problem(WRONG_STATE, "Administrators cannot disable or demote themselves.")
        return await self._change(user_id, changes)

    async def _change(self, user_id: UUID, changes: dict[str, object]) -> UserOut:
        async with self.units.writing() as uow:
            user = await uow.users.get(user_id)
            if user is None:
                raise Problem.of_status(404)
            for name, value in changes.items():
                setattr(user, name, value)
            if changes:
                user.updated_at = self.clock.now()
            if user.disabled:
                await uow.sessions.revoke_all_of(user_id, self.clock.now())
            answer = UserOut.model_validate(user)
            await uow.commit()
        return answer

    async def change_password(self, principal: Principal, change: PasswordChange) -> None:
        """Needs the current password (ASVS 6.2.3) and ends all other sessions (ASVS 7.4.3)."""
        await self.confirm(principal, change.current_password)
        new_digest = await self.hasher.hash(change.new_password)
        async with self.units.writing() as uow:
            user = await uow.users.get(principal.user_id)
            if user is None:
                raise Problem.of_status(404)
            user.password_hash = new_digest
            user.updated_at = self.clock.now()
            await self.end_other_sessions(uow, principal)
            await uow.commit()

    async def confirm(self, principal: Principal, password: str) -> None:
        async with self.units.reading() as uow:
            user = await uow.users.get(principal.user_id)
            digest = user.password_hash if user else None
        if not await self.hasher.verify(password, digest):
            # Not 401: the token was good, and who is told that it was not goes and fetches another one.
            raise Problem(FORBIDDEN, "The current password is not right.", headers=challenge())

    async def end_other_sessions(self, uow: UnitOfWork, principal: Principal) -> None:
        await uow.sessions.revoke_all_of(principal.user_id, self.clock.now(), but=principal.session_id)

    async def delete(self, principal: Principal) -> None:
        """The account and all that is its own: sessions, keys and orders go with it, as their foreign keys say."""
        if principal.is_admin:
            raise Problem(WRONG_STATE, "Administrators cannot delete themselves.")
        async with self.units.writing() as uow:
            await uow.users.delete(principal.user_id)
            await uow.commit()
