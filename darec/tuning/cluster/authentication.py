"""The token that Ray's processes ask of each other, and whether a cluster asks for one.

Whoever reaches a Ray cluster that asks for no token can run any code in it.
"""

import os
import secrets
import tempfile
from pathlib import Path

import grpc

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning.private import read_authentication_again

MODE = "RAY_AUTH_MODE"
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray takes the token from the first of these variables that is set, else from `token_file`."""
ANSWER_S = 5.0
"""How long a cluster may take to say whether it asks for a token."""
ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""A call that every head of a cluster answers, and whose empty request is valid."""


def token_file() -> Path:
    """Return the file of the token; raises ``RuntimeError`` where this user has no home."""
    return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")


def set_mode(mode: str | None) -> None:
    """Let this process, and those that it starts, ask for a token (``token``) or not.

    None is Ray's own choice. Must not be called while this process is connected to Ray.
    """
    if mode is None:
        os.environ.pop(MODE, None)
    else:
        os.environ[MODE] = mode
    read_authentication_again()


def use_token() -> None:
    """Ask for a token from now on, and make its file if there is none.

    If the user's home cannot be used, this process and its children have a token of their own.
    Raises `UserError` if the file that `TOKEN_PATH` names cannot be used or is empty.
    """
    if not os.environ.get(TOKEN):
        try:
            path = token_file()
            _make(path)
            is_empty = not path.read_bytes().strip()
        except (OSError, RuntimeError) as error:
            if named := os.environ.get(TOKEN_PATH):
                message = f"{named}: Ray's token cannot be kept there: {error}"
                raise UserError(f"{message}; set {TOKEN} or {TOKEN_PATH}") from error
            LOGGER.debug("Ray's token is not kept in a file: %s", error)
            os.environ[TOKEN] = secrets.token_hex(32)
        else:
            if is_empty:
                rule = "must hold Ray's token, but is empty; delete it to make a new one"
                raise UserError(f"{path}: {rule}")
            close_to_others()
    set_mode("token")


def close_to_others() -> None:
    """Let nobody but this user read the file of the token: Ray itself writes it for all to read."""
    path = token_file()
    if os.environ.get(TOKEN) or not path.exists() or not path.stat().st_mode & 0o077:
        return
    try:
        path.chmod(0o600)
    except OSError:
        message = (
            "other users can read the token and with it run code as you; it should have mode 600"
        )
        LOGGER.warning("%s: %s", path, message)


def asks_for_token(target: str) -> bool | None:
    """Return whether the cluster at HOST:PORT refuses a call without a token.

    None: nothing answered. No token is sent.
    """
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(ALIVE)(b"", timeout=ANSWER_S)
        except grpc.RpcError as error:
            return True if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return False


def _make(path: Path) -> None:
    """Write a new token that only this user can read, unless the file exists.

    The file appears with its content, so that of two processes that make it, both have one token.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        os.unlink(name)
