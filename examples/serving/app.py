"""The ranking as a web application."""

from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from serving.ranker import Ranker, UnknownItems


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")  # reject misspelt names

    history: Annotated[list[str], Field(max_length=10_000)]
    candidates: Annotated[list[str], Field(min_length=1, max_length=1_000)]
    top: Annotated[int, Field(ge=1)] = 10


class Ranked(BaseModel):
    item: str
    score: float


class Response(BaseModel):
    ranking: list[Ranked]
    steps: int
    unknown: list[str]


def make_app(ranker: Ranker) -> FastAPI:
    app = FastAPI(title="DIN")

    # Without `async` FastAPI runs it in a thread and serves others meanwhile.
    @app.post("/rank")
    def rank(request: Request) -> Response:
        """Rank candidates for a user with a history, best first."""
        try:
            ranking = ranker.rank(request.history, request.candidates)
        except UnknownItems as error:
            raise HTTPException(422, str(error)) from error
        pairs = zip(ranking.items, ranking.scores, strict=True)
        best = [Ranked(item=i, score=s) for i, s in pairs][: request.top]
        return Response(
            ranking=best, steps=ranking.steps, unknown=ranking.unknown
        )

    @app.get("/health")
    def health() -> dict[str, int]:
        return {"items": len(ranker.ids) - 1, "steps": ranker.steps}

    return app
