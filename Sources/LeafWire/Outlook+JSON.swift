package import LeafFormat
package import Leafcutter

extension Outlook.Forecast {
    package var json: JSON {
        [
            "budget": .integer(plan.budget), "seconds_per_token": .number(prediction.secondsPerToken),
            "prefill_seconds": .number(prediction.prefillSeconds),
        ]
    }
}
