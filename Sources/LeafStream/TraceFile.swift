internal import Glibc
internal import LeafFormat
internal import LeafSystem

/// A file in the trace-event format, which chrome://tracing and Perfetto open: complete events (`"ph":"X"`) with times
/// in microseconds, and one thread number for each line of the timeline.
///
/// - Source: "Trace Event Format" by the Chromium project.
struct TraceFile {
    private let output: UnfinishedFile

    init(path: String, isCancelled: @escaping @Sendable () -> Bool) throws(LeafError) {
        output = try UnfinishedFile(path: path, isCancelled: isCancelled)
    }

    func write(
        _ events: UnsafeBufferPointer<TraceRecorder.Event>, dropped: Int, naming file: LeafFile
    ) throws(LeafError) {
        let process = getpid()
        let requestBytes = RequestShape.suited().bytes
        try output.append(#"{"displayTimeUnit":"ms","otherData":{"events":\#(events.count),"dropped":\#(dropped)},"#)
        try output.append("\"traceEvents\":[\n")
        try output.append(#"{"name":"process_name","ph":"M","pid":\#(process),"tid":1,"args":{"name":"leafcutter"}}"#)
        for lane in Set(events.lazy.map(\.lane)).sorted() {
            try output.append(
                ",\n" + #"{"name":"thread_name","ph":"M","pid":\#(process),"tid":\#(lane),"#
                    + #""args":{"name":"\#(Self.name(ofLane: Int(lane)))"}}"#)
        }
        let origin = events.lazy.map(\.begin).min() ?? 0
        var decoded = 0
        for event in events {
            guard let kind = TraceRecorder.Kind(rawValue: event.kind) else { continue }
            if kind == .decode { decoded += 1 }
            let label = Label(kind, Int(event.detail), decoded: decoded, requestBytes, in: file)
            try output.append(
                ",\n" + #"{"name":"\#(label.name)","cat":"\#(label.category)","ph":"X","#
                    + #""ts":\#(Self.microseconds(event.begin - origin)),"dur":\#(Self.microseconds(event.nanoseconds)),"#
                    + #""pid":\#(process),"tid":\#(event.lane),"args":{\#(label.arguments)}}"#)
        }
        if dropped > 0, let last = events.last {
            try output.append(
                ",\n" + #"{"name":"the trace is full: \#(dropped) later events are missing","ph":"i","s":"g","#
                    + #""ts":\#(Self.microseconds(last.begin + last.nanoseconds - origin)),"pid":\#(process),"tid":1}"#)
        }
        try output.append("\n]}\n")
        try output.finish()
    }

    /// The name of an event. Names of the file's blocks and matrices are ASCII without quotes: opening the file checks
    /// them.
    private struct Label {
        let name: String
        let category: String
        let arguments: String

        init(_ kind: TraceRecorder.Kind, _ detail: Int, decoded: Int, _ requestBytes: Int, in file: LeafFile) {
            switch kind {
            case .prompt: (name, category, arguments) = ("prompt", "sweep", #""rows":\#(detail)"#)
            case .decode: (name, category, arguments) = ("decode \(decoded)", "sweep", #""rows":\#(detail)"#)
            case .block:
                let name = file.blocks.indices.contains(detail) ? file.blocks[detail].name : "block"
                (self.name, category, arguments) = (name, "block", #""block":\#(detail)"#)
            case .linear:
                let matrix = file.matrices.indices.contains(detail) ? file.matrices[detail].name : ""
                (name, category, arguments) = ("linear", "kernel", #""matrix":"\#(matrix)""#)
            case .attention: (name, category, arguments) = ("attend", "kernel", #""layer":\#(detail)"#)
            case .rows: (name, category, arguments) = ("normalize and quantize", "kernel", #""rows":\#(detail)"#)
            case .wait: (name, category, arguments) = ("wait", "wait", Self.arguments(ofChunk: detail, in: file))
            case .draft: (name, category, arguments) = ("draft", "sweep", #""drafts":\#(detail)"#)
            case .read:
                let (chunk, piece) = (detail >> 5, detail & 31)
                let rest = file.chunks[chunk].paddedBytes - piece * requestBytes
                (name, category) = ("read", "disk")
                arguments =
                    #""bytes":\#(min(requestBytes, rest)),"# + Self.arguments(ofChunk: chunk, in: file)
            }
        }

        private static func arguments(ofChunk chunk: Int, in file: LeafFile) -> String {
            guard file.chunks.indices.contains(chunk) else { return "" }
            let block = file.blocks.first { $0.chunks.contains(chunk) }?.name ?? ""
            return #""chunk":\#(chunk),"block":"\#(block)""#
        }
    }

    private static func name(ofLane lane: Int) -> String {
        switch lane {
        case ..<1000: "steps"
        case ..<5000: "compute \(lane - 1000)"
        default: "reader \(lane - 5000)"
        }
    }

    /// Nanoseconds as microseconds with three decimals.
    private static func microseconds(_ nanoseconds: UInt64) -> String {
        let rest = "\(nanoseconds % 1000)"
        return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - rest.utf8.count) + rest
    }
}
