"""A synthetic audience: many real connections from one process, which join, think, vote and chat like people.

For demos, rehearsals, notebooks and tests. Everybody in it is named "… (synthetic)", and it only ever goes where it
is told to: run it on a room of your own, never beside real people unless they know.

    crowd = Crowd("http://127.0.0.1:8765", "K7M2QX", size=50, seed=42, ledger="acks.jsonl")
    await crowd.run(60)

The response model, exactly. Times are seconds and are divided by `Behaviour.pace`; "about every x s" is an
exponential waiting time with mean x; each figure is a field of `Behaviour`.

- Coming. The first person is there at once; each other joins at a time drawn evenly from the first `arrive_within_s`.
- Opinions. A question has a first share per option, from independent gamma draws of shape 2, normalised. The talk in
  the room draws it to one option, the `leaning` (given by its text, else drawn evenly): t seconds after the person
  has seen the question the share is (1-λ)·first + λ·(1-pull)·first + λ·pull·leaning, with λ = 1 - exp(-t / `drift_s`)
  and pull = `drift_pull`.
- Answering. `answer_share` of the people answer a question at all, after a think time that is log-normal with median
  `think_median_s` and σ = `think_sigma`. Each draws one option from the share of that moment; where several may be
  chosen, each further one with probability `further_choice`.
- Changing one's mind. About every `reconsider_mean_s` somebody who has answered draws again, keeps the old answer with
  probability `stubbornness`, else votes what was drawn; instead, with probability `retract_share`, takes the answer
  back and thinks anew. Where answers cannot change nobody tries.
- Talking. About every `line_mean_s` each says a line about the question on stage, made of `LINES` and the options; one
  who has just changed their mind says so with probability 0.3.
- Leaving. About every `leave_mean_s` somebody closes the page and is back, as the same person, after a time that is
  log-normal with median `away_median_s` and σ = 0.6.

What a person decides is drawn from the seed, the person's number and the question, so the same seed asks, answers and
says the same; only when things happen depends on the machine.

The ledger has one JSON line for each acknowledged command, written when it was acknowledged: {"actor", "ref",
"offset", "activity", "kind", "body"}. That each of its lines is in the log exactly once, at its offset, is what the
demo and the tests check.
"""

from wslive.crowd.audience import Crowd
from wslive.crowd.ledger import Entry, read_ledger
from wslive.crowd.model import Behaviour
from wslive.crowd.person import Stats

__all__ = ["Behaviour", "Crowd", "Entry", "Stats", "read_ledger"]
