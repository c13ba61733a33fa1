# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The whole corpus in scenarios: one configuration, many frames.

``python3 -m hwtests.oracle.scenarios`` lists the frames with what must become of them; with
NAME.pcap it writes the main scenario's.
"""

from __future__ import annotations

import sys

from .corpus import Scenario, clear_scenarios
from .keyed import keyed_scenarios
from .model import route


def scenarios() -> list[Scenario]:
    """Everything."""
    return [*clear_scenarios(), *keyed_scenarios()]


def main() -> None:
    """List the frames."""
    if len(sys.argv) > 1:
        from scapy.utils import PcapWriter  # type: ignore[import]
        with PcapWriter(sys.argv[1], linktype=1) as writer:
            for case in scenarios()[0].cases:
                writer.write(case.frame)
        return
    for scenario in scenarios():
        for case in scenario.cases:
            decision = route(scenario.config, case.frame)
            print(f"{scenario.name}\t{case.name}\t{decision.verdict}\t{decision.reason}\t"
                  f"{decision.server or '-'}\t{case.about}")


if __name__ == "__main__":
    main()
