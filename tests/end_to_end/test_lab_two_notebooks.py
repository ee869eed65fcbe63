"""The main job: a question asked in one notebook, answered in another, and the chart moves."""

from playwright.sync_api import expect

from tests.end_to_end.browser import Pages, wait_for_taps, wait_until
from tests.end_to_end.lab import Lab, Notebook
from tests.end_to_end.own_rooms import HOLD_THE_LOCK, HOST, PARTICIPANT, POLL, SLEEP, events, tally


def opened(lab: Lab, new_page: Pages, title: str) -> tuple[Notebook, Notebook, str]:
    """A host's and a participant's notebook, each in a browser of its own, run to the end; and the join link."""
    stem = title.replace(" ", "-")
    lab.write_notebook(f"{stem}-host.ipynb", [HOST.format(title=title), POLL, "room"])
    host = lab.open(new_page(), f"{stem}-host.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    lab.write_notebook(f"{stem}-ada.ipynb", [PARTICIPANT.format(link=link, name="Ada")])
    participant = lab.open(new_page(), f"{stem}-ada.ipynb")
    participant.run_all()
    return host, participant, link


def vote(participant: Notebook, option: str, cell: int = 0) -> None:
    """Click an option, and wait until the view says that it counts."""
    button = participant.output(cell).get_by_role("button", name=option, exact=True)
    button.click()
    expect(button).to_have_attribute("data-phase", "counted")


def test_a_click_in_one_notebook_moves_the_chart_in_the_other(lab: Lab, new_page: Pages) -> None:
    host, participant, link = opened(lab, new_page, "two notebooks")
    host.wait_for_chart(1, [0, 0, 0])
    vote(participant, "heap")
    host.wait_for_chart(1, [0, 0, 1])
    vote(participant, "merge")
    host.wait_for_chart(1, [0, 1, 0])
    assert host.chart(1) == tally(lab, link)
    # The room's own cell shows the question on stage too, and the kernel has the answers.
    host.wait_for_chart(2, [0, 1, 0])
    host.run_until("print(poll.tally())", "{'quick': 0, 'merge': 1, 'heap': 0}")


def test_a_vote_by_code_and_a_chat_line_reach_the_other_notebook(lab: Lab, new_page: Pages) -> None:
    host, participant, link = opened(lab, new_page, "by code")
    participant.run("me.vote('quick'); me.say('why not heap?')")
    host.wait_for_chart(1, [1, 0, 0])
    host.run_until(
        "print(poll.tally(), [line.text for line in room.chat])",
        "{'quick': 1, 'merge': 0, 'heap': 0} ['why not heap?']",
    )
    participant.run("me.retract()")
    host.wait_for_chart(1, [0, 0, 0])
    assert tally(lab, link) == [0, 0, 0]


def test_the_chart_moves_while_the_hosts_kernel_is_busy_also_after_a_reload(lab: Lab, new_page: Pages) -> None:
    host, participant, link = opened(lab, new_page, "busy")
    host.wait_for_chart(1, [0, 0, 0])
    for number, busy in enumerate((SLEEP, HOLD_THE_LOCK), 1):
        # Written when the cell runs: nothing of the kernel answers any more from here on.
        sign = lab.notebooks / f"busy-{number}.begun"
        cell = host.append(f"open({str(sign)!r}, 'w').close()\n{busy}")
        host.save()
        host.start_cell(cell)
        wait_until(host.page, sign.exists)

        vote(participant, "quick")
        host.wait_for_chart(1, [1, 0, 0])
        # The host's buttons go past the kernel too.
        host.output(1).get_by_role("button", name="Close poll").click()
        expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()
        host.output(1).get_by_role("button", name="Reopen").click()
        expect(host.output(1).get_by_role("button", name="Close poll")).to_be_visible()

        host.reload(idle=False)
        vote(participant, "heap")
        host.wait_for_chart(1, [0, 0, 1])
        host.output(1).get_by_role("button", name="Close poll").click()
        expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()
        assert host.chart(1) == tally(lab, link)
        assert [kind for _, _, kind, _ in events(lab, link)].count("voting_ended") == 2 * number
        if busy is not HOLD_THE_LOCK:  # which nothing interrupts
            host.interrupt_kernel()
            host.output(1).get_by_role("button", name="Reopen").click()
            expect(host.output(1).get_by_role("button", name="Close poll")).to_be_visible()
            wait_for_taps(participant.output(0))
