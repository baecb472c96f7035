"""Finding connectors, and parting secrets from settings."""

import sys
from collections.abc import Generator
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from stoa.kernel.problems import BadInput, Misconfigured
from stoa.sync.connectors import Connector, discover, join_config, secret_fields, split_config

CONNECTOR = """
    from dataclasses import dataclass
    from pydantic import BaseModel

    class Config(BaseModel):
        pass

    @dataclass(frozen=True)
    class Given:
        name: str = {name!r}
        title: str = "Given"
        source_kind: str = "hris"
        config_model: type[BaseModel] = Config

        def mapping(self, config): ...
        async def read(self, config, client, into, *, allow=frozenset()): ...
        def frame(self, feed, config): ...

    CONNECTOR = Given()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """An empty package `found_here`."""
    folder = tmp_path / "found_here"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(("found_here", "declared_here"))]:
        del sys.modules[name]


def add(package: Path, folder: str, source: str) -> None:
    (package / folder).mkdir()
    (package / folder / "__init__.py").touch()
    (package / folder / "connector.py").write_text(dedent(source))


def test_the_connectors_of_stoa_are_found() -> None:
    found = discover(["stoa.hris"])
    assert (found["workday"].title, found["workday"].source_kind) == ("Workday", "hris")
    assert all(name == connector.name for name, connector in found.items())


def test_a_new_folder_is_all_it_takes(package: Path) -> None:
    add(package, "one", CONNECTOR.format(name="one"))
    add(package, "two", CONNECTOR.format(name="two"))
    (package / "no_connector").mkdir()
    (package / "no_connector" / "__init__.py").touch()
    (package / "module.py").touch()
    found = discover(["found_here"])
    assert set(found) == {"one", "two"}
    assert all(isinstance(connector, Connector) for connector in found.values())


def test_an_installed_distribution_can_declare_one(package: Path) -> None:
    (package.parent / "declared_here.py").write_text(dedent(CONNECTOR.format(name="other")))
    metadata = package.parent / "declared_here-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: declared_here\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[stoa.connectors]\nother = declared_here:CONNECTOR\n")
    assert set(discover(["found_here"])) == {"other"}


def test_two_of_one_name_are_refused(package: Path) -> None:
    add(package, "one", CONNECTOR.format(name="same"))
    add(package, "two", CONNECTOR.format(name="same"))
    with pytest.raises(Misconfigured, match="Two connectors are called 'same'"):
        discover(["found_here"])


@pytest.mark.parametrize("source", ["", "CONNECTOR = object()"])
def test_a_module_without_a_connector_is_refused(package: Path, source: str) -> None:
    add(package, "one", source)
    with pytest.raises(Misconfigured, match=r"found_here\.one\.connector has no CONNECTOR"):
        discover(["found_here"])


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = 1


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    password: SecretStr = Field(min_length=3)
    token: SecretStr | None = None
    inner: Inner = Inner()


def test_secrets_are_parted_and_joined_again() -> None:
    public, secrets = split_config(Settings, {"url": "u", "password": "hush", "inner": {"depth": 2}})
    assert public == {"url": "u", "inner": {"depth": 2}}
    assert secrets == {"password": "hush"}
    joined = join_config(Settings, public, secrets)
    assert (joined.password.get_secret_value(), joined.token, joined.inner.depth) == ("hush", None, 2)
    assert secret_fields(Settings) == ("password", "token")


def test_what_cannot_be_used_is_told_by_field_and_never_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        split_config(Settings, {"password": "hu", "inner": {"depth": "s3cret"}, "token": ["s3cret"], "more": "s3cret"})
    errors = caught.value.extra["errors"]
    assert isinstance(errors, list)
    assert [error["field"] for error in errors] == ["url", "password", "token", "inner.depth", "more"]
    assert "url: Field required" in caught.value.detail
    assert "s3cret" not in repr((str(caught.value), caught.value.extra))
    assert caught.value.__cause__ is caught.value.__context__ is None
