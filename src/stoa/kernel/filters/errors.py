"""What a filter can fail with: one error that says where, and what would have been right."""

from stoa.kernel.problems import Problem


class FilterError(Problem):
    """The filter cannot be read, or asks for what its attributes do not offer.

    The detail names the place in the filter. SCIM calls it invalidFilter (RFC 7644, section 3.12).
    """

    code = "invalid_filter"
    status = 400

    def __init__(self, sentence: str, *, position: int, hint: str | None = None) -> None:
        """`position` is the 0-based offset, in characters, of what is wrong; `sentence` says what is wrong, without
        full stop and position.
        """
        super().__init__(f"{sentence} (at position {position}).", hint=hint, position=position)
        self.sentence = sentence
        self.position = position


class PathError(FilterError):
    """The path of a PATCH cannot be read.

    SCIM calls it invalidPath (RFC 7644, section 3.12). The detail names the place in it.
    """

    code = "invalid_path"


class BindingError(LookupError):
    """A slice bound an attribute of its catalogue wrongly or not at all: a mistake in the program, never in the
    filter.
    """
