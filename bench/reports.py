# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Worker reports as files: the first one, the same in another order, and one in which a hundredth has changed."""

import random
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
from polars_hash import CryptographicHashingNameSpace

_SEED = 7
_DEPARTMENTS = ("Research", "Sales", "Finance", "Legal", "Operations", "Support", "Marketing", "People")
_TITLES = ("Engineer", "Analyst", "Account Executive", "Counsel", "Specialist", "Team Lead", "Director")
_LOCATIONS = ("Berlin", "Lisbon", "Kraków", "Austin", "Singapore", "São Paulo")
# One manager for so many people.
_SPAN = 8


@dataclass(frozen=True, slots=True)
class Reports:
    """Paths of the report's versions. Of 1,000 rows, `changed` has 8 with another title, 1 new and 1 gone."""

    first: Path
    shuffled: Path
    changed: Path
    json: Path
    rows: int
    updated: int
    new: int
    gone: int


def write_reports(rows: int, folder: Path) -> Reports:
    """Makes the files; the same for the same number of rows."""
    part = max(1, rows // 1000)
    updated, new, gone = 8 * part, part, part
    people = _people(rows + new)
    first = people.head(rows)
    luck = pl.Series(random.Random(_SEED).sample(range(rows), rows))
    # The last rows are nobody's managers.
    changed = pl.concat(
        [
            first.head(updated).with_columns(
                pl.concat_str(pl.lit("Senior "), "Business_Title").alias("Business_Title")
            ),
            first.slice(updated, rows - updated - gone),
            people.tail(new),
        ]
    )
    made = Reports(
        folder / "first.csv",
        folder / "shuffled.csv",
        folder / "changed.csv",
        folder / "shuffled.json",
        rows,
        updated,
        new,
        gone,
    )
    first.write_csv(made.first)
    shuffled = first.select(pl.all().gather(luck))
    shuffled.write_csv(made.shuffled)
    changed.write_csv(made.changed)
    made.json.write_bytes(msgspec.json.encode({"Report_Entry": shuffled.to_dicts()}))
    return made


def _people(rows: int) -> pl.DataFrame:
    luck = random.Random(_SEED)
    numbers = range(1, rows + 1)
    given = [f"Given{luck.randrange(4000)}" for _ in numbers]
    family = [f"Ó Súilleabháin{n % 100}" if n % 20 == 0 else f"Family{luck.randrange(20_000)}" for n in numbers]
    return pl.DataFrame(
        {
            "Employee_ID": [f"E{n:07}" for n in numbers],
            "Worker_Type": ["Contingent Worker" if n % 9 == 0 else "Employee" for n in numbers],
            "Legal_First_Name": given,
            "Legal_Last_Name": family,
            "Preferred_Name": [f"{a} {b}" for a, b in zip(given, family, strict=True)],
            "Work_Email": [f"person{n}@acme.example" for n in numbers],
            "Business_Title": [luck.choice(_TITLES) for _ in numbers],
            "Department": [luck.choice(_DEPARTMENTS) for _ in numbers],
            "Cost_Center": [f"CC{luck.randrange(400)}" for _ in numbers],
            "Location": [luck.choice(_LOCATIONS) for _ in numbers],
            "Manager_Employee_ID": [None if n == 1 else f"E{(n - 2) // _SPAN + 1:07}" for n in numbers],
            "Hire_Date": [f"20{10 + n % 14}-0{1 + n % 9}-1{n % 10}" for n in numbers],
            "Active_Status": ["1"] * rows,
        }
    )


def read_parse_hash_csv(path: Path) -> int:
    """The limit: Polars reads a CSV file and hashes each row with BLAKE3. Gives the number of rows."""
    return _hashed(pl.read_csv(path, infer_schema=False, glob=False))


def read_parse_hash_json(path: Path) -> int:
    """The limit for JSON."""
    document = pl.read_json(path)
    return _hashed(document.select(pl.col("Report_Entry").explode()).unnest("Report_Entry"))


def _hashed(frame: pl.DataFrame) -> int:
    line = frame.select(pl.concat_str(pl.all(), separator="\x1f", ignore_nulls=True).alias("line"))
    return line.select(CryptographicHashingNameSpace(pl.col("line")).blake3()).height
