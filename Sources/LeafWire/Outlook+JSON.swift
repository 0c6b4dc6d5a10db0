package import LeafFormat
package import Leafcutter

extension Outlook.Forecast {
    package var json: JSON {
        .object(
            [
                ("budget", .integer(plan.budget)), ("seconds_per_token", .number((off ?? prediction).secondsPerToken)),
                ("prefill_seconds", .number(prediction.prefillSeconds)),
            ]
                + (speculation.map { [("speculative_seconds_per_token", .number($0.secondsPerToken))] } ?? []))
    }
}
