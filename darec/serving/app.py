"""The HTTP service: its routes, and one plain sentence for everything that is refused."""

from collections.abc import Callable
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darec.errors import UserError
from darec.parsing import problem
from darec.reporter import LOGGER
from darec.serving import messages as m

TOO_LARGE, WRONG, FAILED = 413, 422, 500
REFUSALS: dict[int | str, dict[str, Any]] = {
    TOO_LARGE: {"model": m.Refusal, "description": f"The body exceeds {m.MOST_BYTES} bytes"},
    WRONG: {"model": m.Refusal, "description": "The request is wrong; the detail says why"},
    FAILED: {"model": m.Refusal, "description": "The service failed; its log says why"},
}
"""The answers of every route besides the good one."""


class Service(Protocol):
    """Answers requests with a model. Each method raises `UserError` for a request it refuses."""

    async def predict(self, asked: m.PredictRequest) -> m.PredictAnswer:
        """Predict ratings."""

    async def recommend(self, asked: m.RecommendRequest) -> m.RecommendAnswer:
        """Recommend items to known users."""

    async def fold_in(self, asked: m.FoldInRequest) -> m.FoldInAnswer:
        """Predict and recommend for a person who was not in the data."""

    def model(self) -> m.ModelAnswer:
        """Return the card of the model."""


def make_app(service: Callable[[], Service]) -> FastAPI:
    """Return the web application; ``service`` is called for each request."""
    app = FastAPI(
        title="darec",
        description="Predicted ratings and recommendations of one trained model.",
        responses=REFUSALS,
    )
    app.add_middleware(Guard)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(AnyHTTPException, _on_http_error)
    app.add_exception_handler(UserError, _on_user_error)

    @app.post("/predict")
    async def predict(asked: m.PredictRequest) -> m.PredictAnswer:
        """Predict ratings, within the rating range; cold users and items follow the card."""
        return await service().predict(asked)

    @app.post("/recommend")
    async def recommend(asked: m.RecommendRequest) -> m.RecommendAnswer:
        """Recommend the items with the highest scores to users of the model."""
        return await service().recommend(asked)

    @app.post("/fold-in")
    async def fold_in(asked: m.FoldInRequest) -> m.FoldInAnswer:
        """Predict and recommend for a person who was not in the data, from his or her ratings."""
        return await service().fold_in(asked)

    @app.get("/model")
    async def model() -> m.ModelAnswer:
        """Return the model's card: what it is, its scores and where it comes from."""
        return service().model()

    @app.get("/healthz")
    async def healthz() -> m.Health:
        """Return which model answers, as soon as there is one."""
        return m.Health(model=service().model().model)

    return app


class Guard:
    """Refuses large bodies, and answers an unexpected exception with a sentence; it is logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application."""
        size, began = 0, False

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > m.MOST_BYTES:
                rule = f"the body must have at most {m.MOST_BYTES} bytes"
                raise HTTPException(TOO_LARGE, rule, {"connection": "close"})
            return message

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, limited, noted)
        except Exception:
            LOGGER.exception("%s failed", scope.get("path"))
            if not began:
                message = "the service failed at this request; its log says why"
                await _refusal(FAILED, message)(scope, receive, send)


def _refusal(status: int, detail: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


async def _on_invalid(_: Request, error: Any) -> JSONResponse:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        message = f"the body is not JSON: {first['ctx']['error']}, at character {first['loc'][-1]}"
    elif isinstance(first["input"], bytes):
        message = "the body must be JSON, with the header content-type: application/json"
    else:
        message = problem(error)
    return _refusal(WRONG, message)


async def _on_http_error(_: Request, error: Any) -> JSONResponse:
    status = WRONG if error.status_code == 400 else error.status_code  # no text, nested too deeply
    return _refusal(status, error.detail, error.headers)


async def _on_user_error(_: Request, error: Exception) -> JSONResponse:
    return _refusal(WRONG, " ".join(str(error).splitlines()))
