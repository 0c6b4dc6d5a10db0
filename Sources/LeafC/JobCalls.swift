// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import CLibrary
import LeafBatch
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire

@c @implementation
package func lc_batch(
    _ model: UnsafePointer<CChar>!, _ input: UnsafePointer<CChar>!, _ output: UnsafePointer<CChar>!,
    _ options: UnsafePointer<CChar>!, _ progress: lc_progress!, _ user: UnsafeMutableRawPointer!,
    _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> lc_status {
    json?.pointee = nil
    return Call.done { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let paths = try JobPaths(model, input, output)
        let given = try Call.optionalJSON(options)
        let outcome = try Call.made { () throws(LeafError) in
            let options = try HostOptions(json: given, for: .job)
            return try WatchedCall(progress: progress, user: user).run { cancellation, note throws(LeafError) in
                try paths.run(options, cancellation, onProgress: note)
            }
        }
        json?.pointee = try Call.given(outcome.line)
    }
}

@c @implementation
package func lc_job_open(
    _ model: UnsafePointer<CChar>!, _ input: UnsafePointer<CChar>!, _ output: UnsafePointer<CChar>!,
    _ options: UnsafePointer<CChar>!, _ progress: lc_progress!, _ user: UnsafeMutableRawPointer!,
    _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> lc_status {
    Call.run(out) { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let paths = try JobPaths(model, input, output)
        let json = try Call.optionalJSON(options)
        let job = try Call.made { () throws(LeafError) in
            let options = try HostOptions(json: json, for: .job)
            return try WatchedCall(progress: progress, user: user).run { cancellation, note throws(LeafError) in
                try HostJob(paths, options, cancellation) { note(0, $0) }
            }
        }
        guard let handle = HandleTable.shared.add(job, .job) else { throw Call.noHandle }
        return handle
    }
}

@c @implementation
package func lc_job_info(
    _ job: OpaquePointer!, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> lc_status {
    Call.run(json) { () throws(HostError) in try Call.given(Call.job(job).description.line) }
}

@c @implementation
package func lc_job_next(
    _ job: OpaquePointer!, _ line: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> lc_status {
    var isOver = false
    let status = Call.run(line) { () throws(HostError) in
        let job = try Call.job(job)
        guard let line = try Call.made({ () throws(LeafError) in try job.next() }) else {
            isOver = true
            return nil
        }
        return try Call.given(line)
    }
    return isOver ? LC_END : status
}

@c @implementation
package func lc_job_answer(
    _ job: OpaquePointer!, _ answer: UnsafePointer<CChar>!, _ length: Int, _ isNew: UnsafeMutablePointer<Int32>!
) -> lc_status {
    isNew?.pointee = 0
    return Call.done { () throws(HostError) in
        let job = try Call.job(job)
        let json = try Call.bytes(answer, length, "answer", atMost: answerLimit)
        let wasNew = try Call.made { () throws(LeafError) in try job.take(json) }
        isNew?.pointee = wasNew ? 1 : 0
    }
}

/// Bytes of an answer at most: more than any has.
private let answerLimit = 1 << 30

@c @implementation
package func lc_job_sync(_ job: OpaquePointer!) -> lc_status {
    Call.done { () throws(HostError) in
        let job = try Call.job(job)
        try Call.made { () throws(LeafError) in try job.flush() }
    }
}

@c @implementation
package func lc_job_close(_ job: OpaquePointer!) {
    try? HandleTable.shared.remove(job, .job, HostJob.self)?.flush()
}

extension JobPaths {
    fileprivate init(
        _ model: UnsafePointer<CChar>?, _ input: UnsafePointer<CChar>?, _ output: UnsafePointer<CChar>?
    ) throws(HostError) {
        self.init(
            model: try Call.path(model, "path"), input: try Call.path(input, "file of requests"),
            output: try Call.path(output, "file of answers"))
    }
}
