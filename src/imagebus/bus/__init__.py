"""The bus: everything that knows confluent-kafka, behind the names of ``connection``.

Elsewhere one speaks of records, positions and acknowledgements, so that the client can be replaced here.
"""

from imagebus.bus.bus import Bus
from imagebus.bus.log_reader import LogReader
from imagebus.bus.publisher import Publisher
from imagebus.bus.ranges import Place
from imagebus.bus.subscriber import Subscriber
from imagebus.bus.survey import Survey
from imagebus.bus.tail import Tail

__all__ = ["Bus", "LogReader", "Place", "Publisher", "Subscriber", "Survey", "Tail"]
