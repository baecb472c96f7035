from datetime import UTC, datetime, timedelta

import pytest

from stoa.outbound import rules
from stoa.outbound.model import OutboundRefused, RemoteDown, Repeat, Retry

NOTHING = frozenset[str]()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/a?b=c", "https://example.com"),
        ("HTTPS://EXAMPLE.com./a", "https://example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("https://bücher.example.com/", "https://xn--bcher-kva.example.com"),
        ("https://1.1.1.1/", "https://1.1.1.1"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]"),
        ("https://[2606:4700:4700::1111]:8443/", "https://[2606:4700:4700::1111]:8443"),
        ("https://a_b.example.com/", "https://a_b.example.com"),
    ],
)
def test_a_public_https_address_is_read(url: str, origin: str) -> None:
    assert rules.destination(url, NOTHING).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        # schemes, and none
        *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:1"),
        *("data:text/plain,x", "unix:///run/x", "ws://example.com/", "//example.com/", "example.com", "", "https:///x"),
        # names of the private network
        *("https://localhost/", "https://LOCALHOST./", "https://acme.localhost/", "https://localhost.localdomain/"),
        *("https://ip6-localhost/", "https://metadata.google.internal/", "https://printer.local/", "https://nas.lan/"),
        *("https://router.home.arpa/", "https://intranet/", "https://wiki.corp/", "https://db/"),
        # addresses of the private network
        *("https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest/", "https://0.0.0.0/"),
        *("https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fd00::1]/"),
        *(
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[::127.0.0.1]/",
        ),
        *("https://[2002:7f00:1::]/", "https://[2001:0:1::1]/", "https://127.0.0.1./"),
        # addresses in disguise
        *("https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://127.1/", "https://127.0.1/"),
        *("https://0177.0.0.1/", "https://017700000001/", "https://0x7f.0x0.0x0.0x1/", "https://127.0.0.1.5/"),
        *(
            "https://0x/",
            "https://1.1.1.0x1/",
            "https://example.1/",
            "https://%31%32%37.0.0.1/",
            "https://127。0。0。1/",
        ),
        *("https://１２７.0.0.1/", "https://ⓛocalhost/", "https://8.8.8.08/"),
        # credentials, and other ways to hide the host
        *("https://user:pass@example.com/", "https://user@example.com/", "https://example.com@127.0.0.1/"),
        *("https://example.com\\@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://exa mple.com/"),
        *(
            "https://example.com\t/",
            "https://example.com/\r\nHost: x",
            "https://exa%00mple.com/",
            "https://-a.example/",
        ),
        *("https://a..example.com/", "https://" + "a" * 64 + ".example/", "https://[::1", "https://example.com:port/"),
        # ports
        *("https://example.com:0/", "https://example.com:22/", "https://example.com:25/", "https://example.com:99999/"),
        *(
            "https://example.com:6379/",
            "https://example.com:5432/",
            "https://example.com:6667/",
            "https://example.com:9200/",
        ),
    ],
)
def test_what_leads_elsewhere_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(OutboundRefused) as refusal:
        rules.destination(url, NOTHING)
    assert refusal.value.detail


def test_a_refusal_never_tells_credentials_path_or_query() -> None:
    for url in ("https://user:hunter2@example.com/", "http://10.0.0.1/hunter2?hunter2", "https://exa\\hunter2/"):
        with pytest.raises(OutboundRefused) as refusal:
            rules.destination(url, NOTHING)
        assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "pair"),
    [
        ("http://127.0.0.1:8081/x", "127.0.0.1:8081"),
        ("http://localhost:8081/x", "localhost:8081"),
        ("http://[::1]:8081/x", "[::1]:8081"),
        ("https://10.0.0.5/x", "10.0.0.5:443"),
        ("http://sim.test.local/x", "sim.test.local:80"),
    ],
)
def test_development_exempts_exact_pairs_of_host_and_port(url: str, pair: str) -> None:
    assert rules.destination(url, frozenset({pair})).exempt


@pytest.mark.parametrize(
    "pair",
    [
        "127.0.0.1:8082",
        "127.0.0.1",
        "127.0.0.0/8",
        "*:8081",
        "127.0.0.1:*",
        "localhost:8081",
        "127.0.0.2:8081",
        ":8081",
    ],
)
def test_no_other_pair_range_or_pattern_exempts(pair: str) -> None:
    with pytest.raises(OutboundRefused):
        rules.destination("http://127.0.0.1:8081/", frozenset({pair}))


@pytest.mark.parametrize("url", ["http://2130706433:8081/", "http://0x7f.1:8081/", "http://u:p@127.0.0.1:8081/"])
def test_an_exemption_opens_no_disguise(url: str) -> None:
    with pytest.raises(OutboundRefused):
        rules.destination(url, frozenset({"127.0.0.1:8081", "2130706433:8081", "0x7f.1:8081"}))


def test_one_bad_address_among_good_ones_spoils_a_name() -> None:
    to = rules.destination("https://example.com/", NOTHING)
    assert rules.refused_address(to, ["1.1.1.1", "10.0.0.1"]) == "10.0.0.1"
    assert rules.refused_address(to, ["1.1.1.1", "2606:4700::1"]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("X-A", "a\r\nX-B: b"), ("X-A\r\nX-B", "b"), ("X A", "b"), ("", "b"), ("X-A", "ü"), ("X-A", "a\x00")),
        *(("Host", "b"), ("content-length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "close")),
    ],
)
def test_a_header_that_would_change_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(OutboundRefused) as refusal:
        rules.checked_headers({name: value})
    assert "X-B: b" not in str(refusal.value)


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30),
        ("Thu Jan  1 12:00:30 2026", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 400, 10**8),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert rules.retry_after(value, NOW) == expected


def wait(
    repeat: Repeat, attempt: int = 1, after: float | None = None, *, repeatable: bool = True, chance: float = 0.0
) -> float | None:
    failure = RemoteDown("x", repeat=repeat, retry_after=None if after is None else timedelta(seconds=after))
    return rules.wait_before_next(failure, attempt, Retry(4, 0.5, 30), repeatable=repeatable, chance=chance)


def test_waits_double_and_vary_and_end() -> None:
    assert [wait(Repeat.ALWAYS, attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]
    assert wait(Repeat.ALWAYS, 3, chance=1.0) == 1.0
    long = Retry(1000, 0.5, 30)
    assert rules.wait_before_next(RemoteDown("x"), 999, long, repeatable=True, chance=0.0) == 30


def test_only_what_may_be_sent_twice_is_sent_twice() -> None:
    assert wait(Repeat.NEVER) is None
    assert wait(Repeat.IF_REPEATABLE, repeatable=False) is None
    assert wait(Repeat.IF_REPEATABLE, repeatable=True) is not None
    assert wait(Repeat.ALWAYS, repeatable=False) is not None


def test_the_remote_sides_wish_is_a_least_and_has_a_bound() -> None:
    assert wait(Repeat.ALWAYS, after=7) == 7
    assert 7 < (wait(Repeat.ALWAYS, after=7, chance=0.5) or 0) < 8
    assert wait(Repeat.ALWAYS, after=30) == 30
    assert wait(Repeat.ALWAYS, after=31) is None


@pytest.mark.parametrize(
    ("status", "temporary"),
    [
        *((400, False), (401, False), (404, False), (408, True), (425, True), (429, True), (500, True), (501, False)),
        *((502, True), (503, True), (504, True), (505, False), (522, True), (301, False)),
    ],
)
def test_which_statuses_pass(status: int, temporary: bool) -> None:
    assert rules.is_temporary(status) is temporary
