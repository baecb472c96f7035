"""Why a person's values are what they are, in sentences: what a visitor reads of it comes from here alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from stoa.kernel.ids import SourceId
from stoa.people.explaining import Access, AccessWhy, AccessWord, Explained, Stance, Why
from stoa.tenants.model import Source

Gettext = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Writes sentences about sources.

    Attributes:
        gettext: the words of the visitor's language.
        sources: the tenant's sources by id.
    """

    gettext: Gettext
    sources: Mapping[SourceId, Source]

    def name(self, source_id: SourceId) -> str:
        """A source's name."""
        source = self.sources.get(source_id)
        return source.name if source is not None else str(source_id)

    def kind(self, source: Source) -> str:
        """What sort of system a source is."""
        _ = self.gettext
        kinds = {
            "idp": _("Identity provider"),
            "hris": _("HR system"),
            "console": _("Edits in the console"),
            "import": _("Import"),
            "api": _("API client"),
        }
        return kinds.get(source.kind, source.kind)

    def why(self, field: Explained) -> str:
        """By which rule the value of a field is the effective one."""
        _, winner = self.gettext, field.winner
        if winner is None or field.why is Why.NOBODY:
            return _("What is said names nobody who is known.") if field.words else _("No source says anything.")
        others = _unique(self.name(w.source_id) for w in field.words if w.source_id != winner.source_id and w.says)
        said = {"source": self.name(winner.source_id), "others": ", ".join(others)}
        match field.why:
            case Why.ONLY:
                return _("Only %(source)s says anything.") % said
            case Why.AGREED:
                return (
                    _("%(source)s, and the others agree.") if others else _("All records of %(source)s agree.")
                ) % said
            case Why.RANKED:
                return _("%(source)s ranks before %(others)s.") % said
            case Why.UNRANKED:
                return _("None of these sources is ranked for this field, and %(source)s is the oldest.") % said
            case Why.PRESENT:
                return _("%(source)s has this record still; its other one is gone.") % said
            case Why.FIRST:
                return _("%(source)s has two records; the older one counts.") % said
            case _:
                assert_never(field.why)

    def access(self, access: Access) -> list[str]:
        """Why a person has access or not: a sentence for each word that decides, or one for all."""
        _ = self.gettext
        match access.why:
            case AccessWhy.NO_RECORD:
                return [_("No source has a record of them any more.")]
            case AccessWhy.ALL_ACTIVE:
                names = _unique(self.name(word.source_id) for word in access.words if word.counts and word.active)
                if len(names) == 1:
                    return [_("%(source)s says so.") % {"source": names[0]}]
                return [_("Every source whose word counts says so: %(sources)s.") % {"sources": ", ".join(names)}]
            case AccessWhy.REFUSED:
                return _unique(self.stance(word) for word in access.words if word.decides)
            case _:
                assert_never(access.why)

    def stance(self, word: AccessWord) -> str:
        """What one record says of access."""
        _, said = self.gettext, {"source": self.name(word.source_id), "day": word.on}
        match word.stance:
            case Stance.ACTIVE:
                return _("%(source)s says active.") % said
            case Stance.INACTIVE:
                return _("%(source)s says inactive.") % said
            case Stance.GONE:
                return _("%(source)s has no such record any more.") % said
            case Stance.ENDED:
                return _("%(source)s says that the last day was %(day)s.") % said
            case Stance.NOT_STARTED:
                return _("%(source)s says that the first day is %(day)s.") % said
            case Stance.HELD if word.active:
                return _("What %(source)s says now is held: until somebody decides, active stays in force.") % said
            case Stance.HELD:
                return _("What %(source)s says now is held: until somebody decides, inactive stays in force.") % said
            case Stance.PENDING:
                return _("A date of %(source)s has come; the next run of effective dates applies it.") % said
            case _:
                assert_never(word.stance)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
