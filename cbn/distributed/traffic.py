# SPDX-License-Identifier: BSD-3-Clause
"""What went between this process and the workers of a cluster: counted, so that a larger cluster can be reckoned."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Round:
    """One question to all shards.

    Attributes
    ----------
    what : str
        Name of the function that shards were asked.
    n_shards : int
    sent : int
        Bytes of the question; each worker gets it once.
    received : int
        Bytes of the sum, or of all answers where they do not add.
    seconds : float
        From the question to the answer; several may be under way.
    """

    what: str
    n_shards: int
    sent: int
    received: int
    seconds: float


@dataclass(eq=False)
class Traffic:
    """All rounds of a fit.

    Examples
    --------
    >>> traffic = Traffic([Round("count_rows", 7, 900, 200, 0.1), Round("count_rows", 7, 100, 300, 0.1)])
    >>> print(traffic)
    count_rows           2 rounds  7 shards        1,000 bytes sent          500 bytes received
    """

    rounds: list[Round] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Bytes of all questions."""
        return sum(own.sent for own in self.rounds)

    @property
    def received(self) -> int:
        """Bytes of all answers."""
        return sum(own.received for own in self.rounds)

    def __str__(self) -> str:
        lines = []
        for what in dict.fromkeys(own.what for own in self.rounds):
            own = Traffic([one for one in self.rounds if one.what == what])
            n = len(own.rounds)
            lines.append(
                f"{what:18}{n:>4} round{'s' if n > 1 else ' '}{own.rounds[0].n_shards:>3} shards{own.sent:>13,} bytes sent"
                f"{own.received:>13,} bytes received"
            )
        return "\n".join(lines)
