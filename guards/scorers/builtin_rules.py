"""Built-in rules for secrets and personal data: bounded, and checked where the thing has a checksum.

Vendors' key formats as their own documentation and secret scanners give them; card numbers by Luhn (ISO/IEC 7812-1),
IBANs by country length and mod 97 (ISO 13616), social security numbers by the ranges that are issued (SSA).
"""

import ipaddress
import re

from guards.scorers.iban import IBAN, is_iban
from guards.scorers.scan import Rule
from guards.scorers.streamable import streamable

_KEYS = (
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,250}",  # Stripe
    r"gh[opsur]_[A-Za-z0-9]{36,251}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,243}",
    r"glpat-[\w-]{20,64}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"xapp-\d-[A-Za-z0-9-]{20,250}",
    r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",  # AWS
    r"AIza[\w-]{35}",  # Google
    r"hf_[A-Za-z]{34}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgE[\w-]{50,500}",
    r"SG\.[\w-]{16,32}\.[\w-]{32,64}",  # SendGrid
    r"SK[0-9a-f]{32}",  # Twilio
)
# The header, and what follows of the key: base64 in lines, which JSON may have written as \n.
_LINE_END = r"(?:\s|\\[nr]){1,4}"
_PEM = (
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
    rf"(?:{_LINE_END}[A-Za-z0-9+/=]{{16,76}}){{0,64}}"
    rf"(?:(?:{_LINE_END}[A-Za-z0-9+/=]{{1,15}})?{_LINE_END}"
    r"-----END (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----)?"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_RUN = re.compile(r"[A-Za-z0-9_]{16}")
_CARDS = (
    # Visa, Mastercard, Discover, UnionPay, JCB; American Express; Diners Club.
    r"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6[0245]\d\d|35[2-8]\d)[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}(?:\d{3})?",
    r"3[47]\d\d[ -]?\d{6}[ -]?\d{5}",
    r"3[0689]\d\d[ -]?\d{6}[ -]?\d{4}",
)
_PHONES = (
    # International; North America; elsewhere with the leading zero.
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}",
    r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",
    r"(?<!\d )0[1-9]\d{1,3}[ -]\d{3,4}[ -]?\d{3,4}(?! \d)",
)


def _looks_random(found: str) -> bool:
    """Names in kebab case begin with `sk-` too, but have no such runs."""
    return any(c.isdigit() for c in found) and _RUN.search(found) is not None


def _is_phone(found: str) -> bool:
    """E.164: at most 15 digits. Fewer than 8 are no number with its area."""
    return 8 <= sum(c.isdigit() for c in found) <= 15


def passes_luhn(found: str) -> bool:
    """Whether the digits of a card number fit their check digit."""
    digits = [int(c) for c in found if c.isdigit()][::-1]
    return sum(digits[0::2] + [sum(divmod(2 * d, 10)) for d in digits[1::2]]) % 10 == 0


def _is_issued(found: str) -> bool:
    """Area, group and serial numbers that the SSA gives out."""
    area, group, serial = found.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_public(found: str) -> bool:
    """An address of this machine or of a private net tells of nobody."""
    return ipaddress.IPv4Address(found).is_global


SECRETS = (
    Rule("api-key", streamable(rf"(?<![\w-])(?:{'|'.join(_KEYS)})(?![\w-])", re.ASCII)),
    # OpenAI, Anthropic, OpenRouter and others.
    Rule("api-key", streamable(r"(?<![\w-])sk-[\w-]{20,250}(?![\w-])", re.ASCII), _looks_random),
    Rule("private-key", streamable(_PEM, re.ASCII)),
    Rule("jwt", streamable(r"(?<![\w-])eyJ[\w-]{8,1000}\.eyJ[\w-]{8,4000}\.[\w-]{0,1000}", re.ASCII)),
)
PERSONAL = (
    Rule("email", streamable(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}\b")),
    Rule("phone", streamable(rf"(?<![\w.+-])(?:{'|'.join(_PHONES)})(?![\w-])", re.ASCII), _is_phone),
    Rule("credit-card", streamable(rf"(?<![\w.-])(?:{'|'.join(_CARDS)})(?![\w-])", re.ASCII), passes_luhn),
    Rule("iban", streamable(IBAN, re.ASCII), is_iban),
    Rule("ipv4", streamable(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\d)", re.ASCII), _is_public),
    Rule("us-ssn", streamable(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", re.ASCII), _is_issued),
)
BUILTIN = SECRETS + PERSONAL
