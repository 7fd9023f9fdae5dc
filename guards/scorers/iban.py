"""International bank account numbers: their pattern and their check digits (ISO 13616; SWIFT's IBAN registry)."""

# Countries by the length of their numbers.
_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
    33: "RU",
}


def _of_length(length: int, countries: str) -> str:
    """In one piece, or in groups of four."""
    groups, rest = divmod(length - 4, 4)
    tail = f"(?: ?[A-Z0-9]{{{rest}}})" if rest else ""
    return f"(?:{'|'.join(countries.split())})\\d{{2}}(?: ?[A-Z0-9]{{4}}){{{groups}}}{tail}"


IBAN = rf"(?<!\w)(?:{'|'.join(_of_length(length, countries) for length, countries in _LENGTHS.items())})(?!\w)"


def is_iban(found: str) -> bool:
    """Whether the check digits fit: the number, its first four characters moved to the end, is 1 modulo 97."""
    plain = found.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
