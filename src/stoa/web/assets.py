"""Static files under names that carry the hash of their content, built from npm packages by `make setup`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stoa.kernel.problems import Misconfigured

BUILT: Final = Path(__file__).parent / "assets" / "built"
# A hashed name never gets other content, so whoever has it may keep it for a year, the most that caches honour.
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HINT: Final = "Build them with: make setup"


# The build's compressed copies, the better one first: ending of the file, coding of HTTP (RFC 9110, 8.4.1).
_COPIES: Final = ((".br", "br"), (".gz", "gzip"))
IDENTITY: Final = "identity"
_QVALUE: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_LEAST: Final = 0.0001


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, held in memory: there are few, and they are small.

    Attributes:
        codings: its content by content coding, in the order in which we would rather send it; identity is the last.
    """

    name: str
    media_type: str
    codings: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Assets:
    """The built files.

    Attributes:
        by_name: plain name (`stoa.css`) to file.
        by_hashed_name: the name in the address (`stoa.0123456789abcdef.css`) to the same file.
    """

    by_name: Mapping[str, Asset]
    by_hashed_name: Mapping[str, Asset]

    def url(self, name: str) -> str:
        """The address of a file by its plain name. Raises KeyError for a name that no build makes."""
        return f"/assets/{self.by_name[name].name}"


def load_assets(folder: Path = BUILT) -> Assets:
    """Reads the manifest and every file that it names.

    Raises:
        Misconfigured: they have not been built, or not wholly.
    """
    try:
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=dict[str, str])
        by_name = {name: _read(folder, hashed) for name, hashed in manifest.items()}
    except OSError as error:
        raise Misconfigured(f"The pages' static files are not in {folder}: {error.strerror}.", hint=_HINT) from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"The manifest of the pages' static files in {folder} is damaged.", hint=_HINT) from error
    by_hashed_name = {asset.name: asset for asset in by_name.values()}
    return Assets(MappingProxyType(by_name), MappingProxyType(by_hashed_name))


def _read(folder: Path, hashed: str) -> Asset:
    media_type, _ = guess_type(hashed)
    copies = {
        coding: path.read_bytes() for suffix, coding in _COPIES if (path := folder / f"{hashed}{suffix}").is_file()
    }
    codings = MappingProxyType({**copies, IDENTITY: (folder / hashed).read_bytes()})
    return Asset(hashed, media_type or "application/octet-stream", codings)


def chosen_coding(accept: str | None, offered: Iterable[str]) -> str:
    """The content coding that the sender likes best (RFC 9110, 12.5.3); of equals, the first offered.

    accept: its Accept-Encoding, or None if it sent none; then it gets the plain file, and also if it refuses all.
    """
    if accept is None:
        return IDENTITY
    likes = dict(_likes(accept))
    # Unless it is refused by name or by "*", the plain file is always acceptable, and the last choice.
    weights = {coding: likes.get(coding, likes.get("*", _LEAST if coding == IDENTITY else 0.0)) for coding in offered}
    best = max(weights, key=lambda coding: weights[coding], default=IDENTITY)
    return best if weights.get(best, 0.0) > 0 else IDENTITY


def _likes(accept: str) -> Iterator[tuple[str, float]]:
    for item in accept.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = next((text[2:].strip() for text in parameters if text.startswith("q=")), "1")
        if coding:
            yield ("gzip" if coding == "x-gzip" else coding), _weight(weight)


def _weight(text: str) -> float:
    """A qvalue; one that is none counts as a refusal, for nobody can have meant it."""
    return float(text) if _QVALUE.fullmatch(text) else 0.0


def assets_route(assets: Assets) -> Route:
    """Serves `/assets/{name}`: the names of the manifest, so that no part of an address becomes a path on disk."""

    async def serve(request: Request) -> Response:
        asset = assets.by_hashed_name.get(request.path_params["name"])
        if asset is None:
            # Not cached: the file may be there after the next upgrade.
            return PlainTextResponse("There is no such file.", status_code=404, headers={"Cache-Control": "no-store"})
        coding = chosen_coding(request.headers.get("accept-encoding"), asset.codings)
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if coding != IDENTITY:
            headers["Content-Encoding"] = coding
        return Response(asset.codings[coding], media_type=asset.media_type, headers=headers)

    return Route("/assets/{name}", serve, methods=["GET"], name="assets")
