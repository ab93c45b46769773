"""Table of the claims about images, by the file of rules that they stand in."""

from studies.claims.images import bumps, cube, elicited, own, signal
from studies.claims.of_file import Decide, claims_of_file

GATED = ".v2"  # ends the ids of claims whose paths must pass a gate


def _with_gated(functions: dict[str, Decide]) -> dict[str, Decide]:
    """Return functions by id, each also under the id of its gated claim."""
    return {**functions, **{f"{id}{GATED}": function for id, function in functions.items()}}


SIGNAL = claims_of_file(
    "signal",
    {
        **_with_gated(
            {
                "p1.fig6.swing": signal.swing,
                "p1.fig6.direction": signal.direction,
                "p1.fig6.mse": signal.mean_squared_error,
                "p1.fig6.readout": signal.readouts,
                "p2.learning-time": signal.learning_time,
                "p2.hidden-capability.overprompt": elicited.by_over_prompts,
                "p2.hidden-capability.latent": elicited.by_shifts,
                "p2.hidden-capability.spread": elicited.spread,
            }
        ),
        "p2.underspecification": elicited.masked,
        "ctl.overprompt": elicited.nothing_elicited,
        "own.obedience.order": signal.obedience_order,
        "own.obedience.swing": signal.obedience_swing,
    },
)
CUBE = claims_of_file(
    "cube",
    {
        "p3.order": cube.order,
        "p3.multiplicative": cube.multiplicative,
        "p3.adversarial": cube.graphs,
        "ctl.shuffled": cube.shuffled,
    },
)
BUMPS = claims_of_file(
    "bumps",
    {
        "p4.fig4.compose": bumps.compose,
        "p4.fig4.interpolate": bumps.interpolate,
        "p4.fig4.stripes": bumps.stripes,
        "p4.fig10.rim": bumps.without_crossings,
        "p4.contested.square": bumps.square,
        "p4.fig3": bumps.code,
    },
)
OWN = claims_of_file(
    "own",
    {
        "own.predict.order": own.predicted_order,
        "own.coverage": own.coverage,
        "own.order-blind": own.order_blind,
        "own.tau_mem": own.memory,
    },
)
CLAIMS = (*SIGNAL, *CUBE, *BUMPS, *OWN)
