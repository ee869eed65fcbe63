"""Every error of wslive, as one tree.

WsliveError
├── Refused                      a command was refused; final, nothing was stored
│   ├── RoomUnavailable          unknown, ended, locked and full alike (joining has one refusal)
│   ├── NotAllowed               the role may not do this
│   ├── WrongHostKey · HostingNotAllowed · InvalidToken · LoginNeeded · Removed
│   ├── UnknownActivity · UnknownCommand · BadCommand
│   ├── EmptyText · TextTooLong
│   ├── PollClosed · QuestionChanged · UnknownOption · TooFewOptions · TooManyOptions
│   │   TooManyChoices · NoChoice · DuplicateOption · AlreadyVoted · NothingToRetract
│   │   PollHasBallots · PollExists · PollAlreadyOpen · SecretPollClosed · BallotsLost
│   ├── ChatOff · ChatPaused · Muted · UnknownLine · UnknownPerson
│   ├── RoomHasEnded
│   ├── TooFast                  a rate limit; says when to come back
│   └── TemporarilyUnavailable   the store did not take it; sending the same ref again may succeed
├── LogError                     the event log
│   ├── NotAppended              certain: nothing of the batch was stored
│   │   └── AppendConflict       somebody else appended first; carries the missed events
│   ├── InDoubt                  the batch may be stored or not; reopen and compare the head
│   ├── StoreInUse · StoreUnwritable · StoreOnNetwork · StoreTooNew · StoreCorrupt
├── PortInUse                    the address is taken
└── ClientError                  raised to the person at a notebook
    ├── Unconfirmed              no answer in time; the command stays queued
    ├── NotConnected             no connection, and the reason
    ├── ConnectionEnded          the server closed for good (a final close code)
    ├── CodeNeedsServer          a bare code and no server to ask
    └── NoServer                 none found and none could be started

A refusal has a `code` that travels on the wire and a sentence for the person who reads it. `refusal` turns the
pair back into the exception at the other end.
"""

from __future__ import annotations

from typing import Any, ClassVar


class WsliveError(Exception):
    """The root of all errors that wslive raises on purpose."""


class Refused(WsliveError):
    """A command that the room did not accept. Nothing was stored; sending it again gives the same answer.

    Attributes:
        code: The name of the refusal on the wire.
        message: A sentence for the person who reads it.
        retry_after_s: When to come back, in seconds; None where waiting does not help.
    """

    code: ClassVar[str] = "refused"
    sentence: ClassVar[str] = "The room did not accept this."
    retry_after_s: float | None

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        """Use the class's sentence unless a more precise message is given."""
        self.message = message or self.sentence
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class RoomUnavailable(Refused):
    """The one refusal of joining: unknown, ended, locked and full rooms answer alike."""

    code = "room_unavailable"
    sentence = "This room cannot be joined. Check the code, or ask the host whether the room is open."


class NotAllowed(Refused):
    """The role may not do this."""

    code = "not_allowed"
    sentence = "Your role in this room does not allow this."


class WrongHostKey(Refused):
    """The host key does not fit the room, or there is no room: without the key nobody learns which codes exist."""

    code = "wrong_host_key"
    sentence = "No room here has this code and this host key. Use the key that was shown when the room was created."


class HostingNotAllowed(Refused):
    """Rooms on this server need a hosting token."""

    code = "hosting_not_allowed"
    sentence = (
        "This server lets only its own people create rooms. Set WSLIVE_HOST_TOKEN to the hosting token that "
        "its operator gave you, or ask for --anyone-may-host."
    )


class InvalidToken(Refused):
    """A token or ticket that is forged, expired or of another room."""

    code = "invalid_token"
    sentence = "The token is not valid for this room (any more). Join again without it."


class LoginNeeded(Refused):
    """The server knows people by their login at a hub, and this one has none (any more)."""

    code = "login_needed"
    sentence = "Nobody is logged in here (any more). Log in at the hub again."


class Removed(Refused):
    """Told to a person whom the host has sent out, and who comes back."""

    code = "removed"
    sentence = "The host has sent you out of this room."


class UnknownActivity(Refused):
    """No activity of that id in the room."""

    code = "unknown_activity"
    sentence = "There is no such activity in this room."


class UnknownCommand(Refused):
    """The activity does not know the command."""

    code = "unknown_command"
    sentence = "This activity does not know that command."


class BadCommand(Refused):
    """The body of a command does not have the shape that docs/protocol.md gives."""

    code = "bad_command"
    sentence = "The command has the wrong shape; see the protocol page."


class EmptyText(Refused):
    """A text without a visible character."""

    code = "empty_text"
    sentence = "The text is empty."


class TextTooLong(Refused):
    """A text over its documented limit."""

    code = "text_too_long"
    sentence = "The text is too long."


class PollClosed(Refused):
    """The host has closed the poll."""

    code = "poll_closed"
    sentence = "Not counted: the poll closed before your answer arrived."


class SecretPollClosed(PollClosed):
    """A vote that comes after the end of a secret poll: whether it came before, too, nobody can look up any more."""

    code = "secret_poll_closed"
    sentence = (
        "The poll has closed. If your answer arrived before that, it counts; since the poll is secret, nobody can "
        "look that up."
    )


class BallotsLost(Refused):
    """The key of a secret poll that is open is not there: its ballots cannot be read, and who has one neither."""

    code = "ballots_lost"
    sentence = (
        "This poll can take no more votes: the key of its ballot box is gone, and with it the answers so far. "
        "The host can ask again by a new round."
    )


class QuestionChanged(Refused):
    """Another question has taken the stage, or another round has begun."""

    code = "question_changed"
    sentence = "Not counted: the question changed before your answer arrived."


class UnknownOption(Refused):
    """No option of that id or text."""

    code = "unknown_option"
    sentence = "The poll has no such option."


class TooFewOptions(Refused):
    """A poll without a choice."""

    code = "too_few_options"
    sentence = "A poll needs at least two options."


class TooManyOptions(Refused):
    """More options than the documented limit."""

    code = "too_many_options"
    sentence = "The poll has too many options."


class DuplicateOption(Refused):
    """Two options with the same text cannot be told apart in a chart."""

    code = "duplicate_option"
    sentence = "Two options have the same text."


class TooManyChoices(Refused):
    """More options chosen than the poll allows."""

    code = "too_many_choices"
    sentence = "You chose more options than this poll allows."


class NoChoice(Refused):
    """A vote without an option."""

    code = "no_choice"
    sentence = "Choose an option first. To take a vote back, retract it."


class AlreadyVoted(Refused):
    """The poll does not let people change their answer."""

    code = "already_voted"
    sentence = "You have answered already, and this poll does not let answers change."


class NothingToRetract(Refused):
    """Retracting without a ballot."""

    code = "nothing_to_retract"
    sentence = "You have no answer here to take back."


class PollHasBallots(Refused):
    """The text of a poll with ballots is not replaced silently."""

    code = "poll_has_ballots"
    sentence = (
        "People have answered this question already. Use poll.edit() for a typo (it is marked as edited), "
        "poll.new_round() to ask again, or poll.discard() to throw the answers away; for another question choose "
        "another key."
    )


class PollExists(Refused):
    """A poll with the same key is in the room."""

    code = "poll_exists"
    sentence = "A poll with this key exists already; use it, or choose another key."


class PollAlreadyOpen(Refused):
    """Reopening a poll that is open."""

    code = "poll_already_open"
    sentence = "The poll is open already."


class ChatOff(Refused):
    """The host has switched the chat off."""

    code = "chat_off"
    sentence = "The host has switched the chat off."


class ChatPaused(Refused):
    """The host has paused the chat."""

    code = "chat_paused"
    sentence = "The host has paused the chat for a moment."


class Muted(Refused):
    """The host has muted this person."""

    code = "muted"
    sentence = "The host has muted you; your lines are not shown."


class UnknownLine(Refused):
    """No chat line of that id."""

    code = "unknown_line"
    sentence = "There is no such chat line."


class UnknownPerson(Refused):
    """Nobody of that id in the room."""

    code = "unknown_person"
    sentence = "There is nobody of that id in this room."


class RoomHasEnded(Refused):
    """Told only to people who were in the room."""

    code = "room_has_ended"
    sentence = "The host has ended this room."


class TooFast(Refused):
    """A rate limit of the token."""

    code = "too_fast"
    sentence = "That was too fast; wait a moment and try again."


class TemporarilyUnavailable(Refused):
    """The store did not take the command; nothing was stored, and sending the same ref again may succeed."""

    code = "temporarily_unavailable"
    sentence = "The server could not store this just now; try again in a moment."


def refusal(code: str, message: str, retry_after_s: float | None = None) -> Refused:
    """Turn a refusal from the wire back into its exception; an unknown code becomes a plain `Refused`."""
    return refusals().get(code, Refused)(message, retry_after_s=retry_after_s)


def refusals(root: type[Refused] = Refused) -> dict[str, type[Refused]]:
    """All refusals by their code on the wire (the documentation and its test list these)."""
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= refusals(child)
    return found


class LogError(WsliveError):
    """Something about the event log."""


class NotAppended(LogError):
    """Certain: nothing of the batch was stored."""


class AppendConflict(NotAppended):
    """The log moved on since `expected`; `missed` holds the events after it, in order."""

    def __init__(self, missed: list[Any]) -> None:
        """Carry the missed events, so that the caller can apply them and decide again."""
        self.missed = missed
        super().__init__(f"The log has {len(missed)} newer events; apply them and decide again")


class InDoubt(LogError):
    """The batch may be stored or not: reopen the room, compare the head, never acknowledge on a guess."""


class StoreInUse(LogError):
    """Another process holds the store."""


class StoreUnwritable(LogError):
    """The store cannot be created or written."""


class StoreOnNetwork(LogError):
    """The store lies on a network file system, where its write-ahead log is not safe."""


class StoreTooNew(LogError):
    """The store was written by a newer version of wslive."""


class StoreCorrupt(LogError):
    """The store contradicts itself; nothing is guessed."""


class PortInUse(WsliveError):
    """The address is taken by another program."""


class ClientError(WsliveError):
    """What a person at a notebook is told about the connection."""


class Unconfirmed(ClientError):
    """No answer in time. The command stays queued and is sent again, and counts once at most."""


class NotConnected(ClientError):
    """There is no connection now; the message says why and since when."""


class ConnectionEnded(ClientError):
    """The server closed the connection for good; the message gives its reason."""


class CodeNeedsServer(ClientError):
    """A bare room code says nothing about the server."""


class NoServer(ClientError):
    """No server was found, and none could be started."""
