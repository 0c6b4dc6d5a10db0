public import LeafSystem

/// An event of a request.
public enum RequestEvent<Answer: Sendable>: Sendable {
    /// A token of a generation, in the order of its samples. Beams are reported when they have ended.
    case piece(GeneratedPiece)
    /// Where the request is: some times a second at most.
    case progress(RequestProgress)
    /// The last event; comes once, whatever happens.
    case finished(Result<Answer, LeafError>)
}

/// Where a request and the sweep under way are.
public struct RequestProgress: Sendable, Equatable {
    public enum Phase: String, Sendable {
        /// It waits for room.
        case queued
        /// Its first sweep, with the whole prompt.
        case prompt
        case decoding
    }

    public var phase: Phase
    /// Sweeps on which rows of the request are, the one under way included.
    public var sweep: Int
    /// Chunks of the model that the sweep under way has passed, of `chunkCount`.
    public var chunksDone: Int
    public var chunkCount: Int
    /// Rows on the sweep, those of all requests.
    public var rows: Int

    public init(phase: Phase, sweep: Int, chunksDone: Int, chunkCount: Int, rows: Int) {
        self.phase = phase
        self.sweep = sweep
        self.chunksDone = chunksDone
        self.chunkCount = chunkCount
        self.rows = rows
    }

    /// The share of the sweep that is done, from 0 to 1.
    public var share: Double { Double(chunksDone) / Double(max(1, chunkCount)) }
}

/// How far the sweep under way is: what tracks make their requests' progress of.
package struct SweepProgress {
    package let chunksDone: Int
    package let chunkCount: Int
    package let rows: Int

    /// - Parameter sweeps: of the request, the one under way included.
    func ofRequest(sweeps: Int, hasTokens: Bool) -> RequestProgress {
        RequestProgress(
            phase: sweeps == 0 ? .queued : hasTokens ? .decoding : .prompt, sweep: sweeps, chunksDone: chunksDone,
            chunkCount: chunkCount, rows: rows)
    }
}
