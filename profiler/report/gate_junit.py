"""A gate's decision as JUnit XML: a test case a limit and arm, for what a CI job shows of its tests."""

from xml.etree import ElementTree as xml

from profiler.gate.decision import Decided, Gate
from profiler.report.gate import limit_text, measured
from profiler.report.text import printable


def gate_junit(gate: Gate) -> bytes:
    """The document. Broken is a failure and undecided an error: neither is a pass, and they are told apart."""
    count = {state: sum(one.state == state for one in gate.results) for state in ("broken", "undecided")}
    facts = {
        "name": "alignment-tax gate",
        "tests": str(len(gate.results)),
        "failures": str(count["broken"]),
        "errors": str(count["undecided"]),
    }
    suites = xml.Element("testsuites", facts)
    suite = xml.SubElement(suites, "testsuite", {**facts, "name": printable(gate.run.run.manifest["id"])})
    for one in gate.results:
        _add(suite, one, gate.against)
    if gate.warnings:
        xml.SubElement(suite, "system-out").text = "\n".join(printable(f"warning: {w}") for w in gate.warnings)
    xml.indent(suites)
    return bytes(xml.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add(suite: xml.Element, one: Decided, against: str) -> None:
    case = xml.SubElement(
        suite, "testcase", {"classname": printable(one.arm), "name": printable(limit_text(one.limit))}
    )
    said = printable(f"measured {measured(one)}" + ("" if one.limit.scale == "own" else f" against {against}"))
    if one.state == "broken":
        xml.SubElement(case, "failure", {"type": "broken", "message": said})
    elif one.state == "undecided":
        xml.SubElement(case, "error", {"type": "undecided", "message": printable(f"{one.why} ({said})")})
    else:
        xml.SubElement(case, "system-out").text = said
