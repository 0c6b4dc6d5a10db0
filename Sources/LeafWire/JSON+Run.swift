package import LeafFormat
package import LeafGeneration
import LeafStream
import LeafSystem
package import Leafcutter

extension JSON {
    /// `{"budget","planned","peak"}` in bytes.
    package static func memory(_ model: Model) -> JSON {
        [
            "budget": .integer(model.plan.budget), "planned": .integer(model.plan.total),
            "peak": .integer(model.peakBytes),
        ]
    }

    /// `{"mode","bytes_read","bytes_written","read_seconds","wait_seconds","bytes_per_second",`
    /// `"streamed_bytes_per_sweep"}`.
    package static func io(_ model: Model) -> JSON {
        let counters = model.counters
        return [
            "mode": .string(model.io.rawValue), "bytes_read": .integer(counters.bytesRead),
            "bytes_written": ProcessMemory.bytesWritten().map { .integer($0) } ?? .null,
            "read_seconds": .number(Double(counters.readNanoseconds) * 1e-9),
            "wait_seconds": .number(Double(counters.waitNanoseconds) * 1e-9),
            "bytes_per_second": .number(counters.bytesPerSecond),
            "streamed_bytes_per_sweep": .integer(model.streamedBytesPerSweep),
        ]
    }

    /// `{"load","wait","prefill","decode","tokens_per_second","sweeps"}`: seconds, and the rate of decoding.
    ///
    /// - Parameters:
    ///   - load: nil in one of many answers, for which the model was opened once.
    ///   - decoded: tokens that came after the first of each text.
    static func timing(
        load: Double?, wait: Double, prefill: Double, decode: Double, decoded: Int, sweeps: Int
    ) -> JSON {
        .object(
            (load.map { [("load", .number($0))] } ?? []) + [
                ("wait", .number(wait)), ("prefill", .number(prefill)), ("decode", .number(decode)),
                ("tokens_per_second", .number(decode > 0 ? Double(max(0, decoded)) / decode : 0)),
                ("sweeps", .integer(sweeps)),
            ])
    }

    package static func logprobs(_ logprobs: [TokenLogprobs]) -> JSON {
        func entry(_ entry: TokenLogprobs.Entry) -> [(key: String, value: JSON)] {
            [("id", .integer(Int(entry.id))), ("logprob", .number(entry.logprob))]
        }
        return .array(
            logprobs.map { token in
                .object(entry(token.chosen) + [("top", .array(token.top.map { .object(entry($0)) }))])
            })
    }
}
