import LeafBatch
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// A model in the host's hands, and its requests that have not ended.
final class HostModel: Sendable {
    private struct State {
        var requests: [ObjectIdentifier: HostRequest] = [:]
        /// Requests that are being started.
        var starting = 0
        var isClosed = false
    }

    let model: Model
    let loadSeconds: Double
    let room: RequestRoom
    let modelOptions: ModelOptions
    /// What decides every answer beside its request, once somebody asked.
    private let origin = Mutex<String?>(nil)
    private let monitor = Monitor(State(), events: 1)

    /// - Throws: `.io`, `.badInput`, `.budget`, `.usage`.
    init(path: String, _ options: HostOptions) throws(LeafError) {
        let start = ContinuousClock.now
        let memory = HostMemory()
        let file = try options.open(path)
        var modelOptions = try options.modelOptions(file)
        modelOptions.peak = { memory.peakBytes }
        // Drafts take what everything else has left.
        modelOptions.drafts = try options.drafts()
        self.modelOptions = modelOptions
        model = try Model(file, modelOptions)
        room = RequestRoom(bytes: modelOptions.callerBytes +| modelOptions.capacity.heapBytes)
        loadSeconds = (ContinuousClock.now - start) / .seconds(1)
    }

    var file: ModelFile { model.file }

    /// What decides every answer beside its request, in short.
    func originDigest() throws(LeafError) -> String {
        if let known = origin.withLock({ $0 }) { return known }
        let digest = JobRecord.digest(of: try Model.origin(of: file, modelOptions))
        origin.withLock { $0 = digest }
        return digest
    }

    /// Makes a request, which `begin` hands to the model.
    ///
    /// - Throws: what `begin` throws, and `HostError.closed`.
    func start(
        _ wishes: RequestWishes, _ bytes: Int, _ begin: (HostRequest) throws(LeafError) -> Void
    ) throws(HostError) -> HostRequest {
        let isOpen = monitor.withLock { state in
            if !state.isClosed { state.starting += 1 }
            return !state.isClosed
        }
        guard isOpen else { throw .closed }
        defer {
            monitor.withLock { $0.starting -= 1 }
            monitor.wakeAll(.ended)
        }
        do throws(LeafError) {
            let request = HostRequest(wishes, try room.take(bytes)) { [weak self] in self?.remove($0) }
            let isLate = monitor.withLock { state in
                state.requests[ObjectIdentifier(request)] = request
                return state.isClosed
            }
            do throws(LeafError) {
                try begin(request)
            } catch {
                remove(request)
                throw error
            }
            if isLate { request.cancel() }
            return request
        } catch {
            throw HostError(error)
        }
    }

    private func remove(_ request: HostRequest) {
        monitor.withLock { $0.requests[ObjectIdentifier(request)] = nil }
        monitor.wakeAll(.ended)
    }

    /// Ends all requests and waits until nothing of the model is at work.
    func close() {
        let requests = monitor.withLock { state in
            state.isClosed = true
            return Array(state.requests.values)
        }
        for request in requests { request.cancel() }
        monitor.wait(for: .ended) { $0.requests.isEmpty && $0.starting == 0 ? () : nil }
        // Parts of requests that were refused may still be on their way, and the last ones' ends.
        repeat { model.engine.queue.sync {} } while !model.engine.isIdle
    }

    /// File, configuration, what it was opened for, plan, memory, drafts, and what is not as it was asked.
    var description: JSON {
        let (configuration, capacity, plan) = (file.configuration, model.capacity, model.plan)
        return [
            "path": .string(file.leaf.path), "weights": .string(file.leaf.weights.rawValue),
            "vocab_size": .integer(configuration.vocabSize), "dim_model": .integer(configuration.dimModel),
            "layers": .integer(configuration.layers.count), "prompt_length": .integer(configuration.promptLength),
            "tokenizer": .bool(file.tokenizer != nil), "threads": .integer(model.threads),
            "isa": .string(model.instructionSet.rawValue), "context": .integer(capacity.longest),
            "sequences": .integer(capacity.sequences), "logit_rows": .integer(capacity.logitRows),
            "request_bytes": .integer(room.bytes), "load": .number(loadSeconds),
            "plan": [
                "minimum": .integer(model.minimum), "budget": .integer(plan.budget), "planned": .integer(plan.total),
                "parts": .object(plan.parts.map { ($0.purpose.rawValue, .integer($0.bytes)) }),
                "chunks": [
                    "total": .integer(plan.chunkCount), "pinned": .integer(plan.pinnedChunks.count),
                    "streamed": .integer(plan.chunkCount - plan.pinnedChunks.count),
                ],
                "streamed_bytes_per_sweep": .integer(plan.streamedBytesPerSweep),
            ],
            "memory": .memory(model), "io": .io(model), "speculation": DraftTally(model.speculation).total(model),
            "warnings": .array(model.warnings(modelOptions.drafts).map { .string($0) }),
        ]
    }
}

extension Monitor.Event {
    fileprivate static var ended: Self { Self(0) }
}
