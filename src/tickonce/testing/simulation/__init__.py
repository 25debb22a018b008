"""A fleet simulated: the real engine on one clock, one seed deciding everything that may go wrong.

Ticker, worker, beats, recovery and planner of every node are the real ones, their threads being tasks of one loop of
events. Whoever calls the store or waits gives way; so nodes, and the loops within a node, mix at each of these points.
``python -m tickonce.testing.simulation --help`` says how to run it; it needs the package ``greenlet``.
"""

from tickonce.testing.simulation.scenario import Scenario, scenario_of
from tickonce.testing.simulation.simulate import Outcome, simulate

__all__ = ["Outcome", "Scenario", "scenario_of", "simulate"]
