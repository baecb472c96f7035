"""Static files under names that carry the hash of their content, built from npm packages by `make setup`."""

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, held in memory: there are few, and they are small."""

    name: str
    media_type: str
    content: bytes


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
    return Asset(hashed, media_type or "application/octet-stream", (folder / hashed).read_bytes())


def assets_route(assets: Assets) -> Route:
    """Serves `/assets/{name}`: the names of the manifest, so that no part of an address becomes a path on disk."""

    async def serve(request: Request) -> Response:
        asset = assets.by_hashed_name.get(request.path_params["name"])
        if asset is None:
            # Not cached: the file may be there after the next upgrade.
            return PlainTextResponse("There is no such file.", status_code=404, headers={"Cache-Control": "no-store"})
        return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOR_EVER})

    return Route("/assets/{name}", serve, methods=["GET"], name="assets")
