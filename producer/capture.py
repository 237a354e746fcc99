"""The capture process: opens one source and sends its pictures to the producer, which watches over it.

A decoder that hangs or crashes on a hostile stream takes only this process along. Started by
``watch.py``; reads its request from standard input, where no other user sees the address, and answers on
standard output.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import BinaryIO

import wire
from complaints import Complaints
from orphan import die_with
from pace import SECOND_NS, Pacer, Thinning, backoff
from video import Shot, SourceError, Video
from wire import Alive, Ended, Lost, Message, Opened, Picture, Request, Warned

from imagebus.errors import FrameError

SIGN_S = 0.5
MARGIN_S = 3.0


class Capture:
    """Plays one source: a file to its end, a camera for ever."""

    def __init__(self, request: Request, out: BinaryIO) -> None:
        self._request = request
        self._out = out
        self._recorded = request.live is False
        self._thinning = Thinning(request.every, request.max_fps)
        self._pacer = Pacer(request.speed)
        self._left_out = Complaints(self._complain, "damaged parts left out")
        self._sign_due = 0.0
        self._fetched = 0
        self._sent = 0

    def run(self) -> None:
        """Play, and play again until it is over."""
        waits = backoff()
        while True:
            fetched, sent = self._fetched, self._sent
            trouble = self._play()
            if not self._recorded:
                waits = backoff() if self._sent > sent else waits
                self._say(Lost(trouble or "it ended"))
                self._pacer = Pacer()
                self._wait_until(time.monotonic_ns() + round(next(waits) * SECOND_NS))
            elif self._sent and self._request.loop and self._fetched > fetched:
                if trouble:
                    self._say(Warned(f"it broke off ({trouble}); it starts again"))
                self._pacer.again()
            else:
                self._say(self._end(trouble))
                return

    def _play(self) -> str:
        """Open the source and send what is wanted of it; return what ended it, nothing for a plain end."""
        # The bound of opening holds twice: for the connection, and for finding out what comes over it.
        self._say(Alive(2 * self._request.open_s + MARGIN_S))
        try:
            video = Video(self._request)
        except SourceError as error:
            return str(error)
        self._recorded = video.recorded
        self._say(Opened(video.description, video.recorded))
        self._promise()
        try:
            damaged = 0
            for shot in video.shots():
                self._sign_of_life()
                if video.damaged > damaged:
                    self._left_out.add(video.damage, video.damaged - damaged)
                    damaged = video.damaged
                if shot is not None:
                    self._take(shot, video.paced)
        except SourceError as error:
            return str(error)
        finally:
            video.close()
            # A frame that was asked for its matrix is in a cycle; a short file that is looped leaves many.
            gc.collect()
        return ""

    def _take(self, shot: Shot, paced: bool) -> None:
        """Send the picture when it is due, if it is wanted."""
        self._fetched += 1
        now = time.monotonic_ns()
        captured_ns = self._pacer.due_ns(shot.time_s, shot.step_s, now) if paced else now
        data = self._jpeg(shot) if self._thinning.wants(captured_ns) else None
        if paced:
            self._wait_until(captured_ns)
        if data is not None:
            self._say(Picture(captured_ns, data))
            self._sent += 1

    def _jpeg(self, shot: Shot) -> bytes | None:
        try:
            return shot.jpeg(self._request.quality)
        except FrameError as error:
            self._left_out.add(str(error))
            self._thinning.choose_next()
            return None

    def _complain(self, text: str) -> None:
        if self._sent or not self._recorded:  # of a file without one good picture, its end says all
            self._say(Warned(text))

    def _end(self, trouble: str) -> Ended:
        """Return how a file ended."""
        if not self._sent:
            return Ended(2, trouble or self._left_out.last or "it holds no picture that can be read")
        if trouble:
            return Ended(1, f"it broke off after {self._fetched} pictures: {trouble}")
        if self._left_out.count:
            return Ended(1, f"only in part, {self._fetched} pictures; {self._left_out.summary}")
        return Ended(0, "")

    def _wait_until(self, due_ns: int) -> None:
        while (left_s := (due_ns - time.monotonic_ns()) / SECOND_NS) > 0:
            time.sleep(min(left_s, SIGN_S))
            self._sign_of_life()

    def _sign_of_life(self) -> None:
        if time.monotonic() >= self._sign_due:
            self._promise()

    def _promise(self) -> None:
        self._say(
            Alive(2 * self._request.read_s + MARGIN_S)
        )  # a stall is noticed after up to twice its bound

    def _say(self, message: Message) -> None:
        self._sign_due = time.monotonic() + SIGN_S
        wire.write(self._out, message)


def _claim_output() -> BinaryIO:
    """Keep standard output for messages: what a library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def main() -> None:
    """Serve one request."""
    out = _claim_output()
    request = wire.read_request(sys.stdin.buffer)
    die_with(request.parent)
    try:
        Capture(request, out).run()
    except BrokenPipeError:
        os._exit(1)  # the producer is gone: nobody is left to tell


if __name__ == "__main__":
    main()
