"""Random documents and PATCH steps, as `plain_patch` understands them."""

from typing import Any

from hypothesis import strategies as st

from .plain_patch import ENTERPRISE, EXTENDED, LISTS, OBJECTS, TEXTS, Json, Step, Where

words = st.sampled_from(["a", "b", "Ann", "", "x y"])
_types = st.sampled_from(["work", "Work", "home", "other"])
_flags = st.booleans()
_maybe = st.none()


def _of(sub: str) -> st.SearchStrategy[Any]:
    return {"type": _types, "primary": _flags}.get(sub, st.sampled_from(["a@x", "b@x", "A@X", "c"]))


def _element(subs: tuple[str, ...]) -> st.SearchStrategy[Json]:
    return st.dictionaries(st.sampled_from(subs), st.none(), min_size=1).flatmap(
        lambda chosen: st.fixed_dictionaries({name: _of(name) for name in chosen})
    )


elements = _element(LISTS["emails"])


def _one_primary(given: list[Json]) -> list[Json]:
    seen = False
    found: list[Json] = []
    for one in given:
        found.append({**one, "primary": False} if seen and one.get("primary") else one)
        seen = seen or one.get("primary") is True
    return found


_objects = st.dictionaries(st.sampled_from(OBJECTS["name"]), words, min_size=1)
managers = st.one_of(
    st.sampled_from(["m1", "m2"]).map(lambda one: {"value": one}),
    st.sampled_from(["m1", "m2"]).map(lambda one: {"value": one, "displayName": "Boss", "$ref": f"../Users/{one}"}),
)
documents = st.fixed_dictionaries(
    {"userName": st.sampled_from(["ada", "bob"]), "active": _flags},
    optional={
        **{name: words for name in TEXTS if name != "userName"},
        "name": _objects,
        **{name: st.lists(elements, min_size=1, max_size=3).map(_one_primary) for name in LISTS},
        ENTERPRISE: st.fixed_dictionaries(
            {"department": words}, optional={"employeeNumber": words, "manager": managers}
        ),
    },
)

_verbs = st.sampled_from(["add", "replace", "remove"])
_user_names = st.sampled_from(["ada", "bob", "cleo", None, " "])


def _value_of(name: str) -> st.SearchStrategy[Any]:
    if name == "userName":
        return _user_names
    if name == "active":
        return _flags | _maybe
    if name in OBJECTS:
        return st.dictionaries(st.sampled_from(OBJECTS[name]), words | _maybe, max_size=3) | _maybe
    if name in LISTS:
        return st.lists(elements, max_size=3) | elements | _maybe
    if name == "manager":
        return managers | st.sampled_from([None, "", "m3", {}, {"value": ""}, {"displayName": "Chief"}])
    return words | _maybe


_simple = st.sampled_from([*TEXTS, "active", *OBJECTS, *LISTS]).flatmap(
    lambda name: st.builds(Step, _verbs, st.just(name), _value_of(name), spelt=_flags)
)
_part = st.builds(Step, _verbs, st.just("name"), words | _maybe, sub=st.sampled_from(OBJECTS["name"]))
_extended = st.sampled_from([*EXTENDED, "manager"]).flatmap(
    lambda name: st.builds(Step, _verbs, st.just(name), _value_of(name), extension=st.just(True))
)
_manager_part = st.builds(
    Step,
    _verbs,
    st.just("manager"),
    st.sampled_from(["m1", "m4", "", None]),
    extension=st.just(True),
    sub=st.just("value"),
)


def _compares(sub: str) -> st.SearchStrategy[Where]:
    if sub == "primary":
        return st.builds(Where, st.just(sub), st.sampled_from(["eq", "ne"]), _flags)
    return st.builds(Where, st.just(sub), st.sampled_from(["eq", "eq", "ne", "sw", "pr"]), _of(sub))


_wheres = st.one_of(
    st.sampled_from(["type", "type", "value", "primary", "display"]).flatmap(_compares),
    st.builds(Where, st.just("type"), st.just("eq"), _types, _compares("value")),
    st.builds(Where, st.just("type"), st.just("eq"), _types, _compares("primary")),
)
_filtered = st.sampled_from(sorted(LISTS)).flatmap(
    lambda name: st.builds(Step, _verbs, st.just(name), elements | _maybe, where=_wheres)
)
_filtered_part = st.tuples(st.sampled_from(sorted(LISTS)), st.sampled_from(LISTS["emails"])).flatmap(
    lambda one: st.builds(
        Step, _verbs, st.just(one[0]), _of(one[1]) | _maybe, where=_wheres | _maybe, sub=st.just(one[1])
    )
)
_whole = st.builds(
    Step,
    st.sampled_from(["add", "replace"]),
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={name: _value_of(name) for name in ("userName", "title", "active", "name", "emails")}
        | {
            ENTERPRISE: st.none()
            | st.fixed_dictionaries({}, optional={name: _value_of(name) for name in ("department", "manager")})
        },
    ).filter(bool),
)
steps = st.one_of(_simple, _part, _extended, _manager_part, _filtered, _filtered_part, _filtered_part, _whole)
