// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import CLibrary
import LeafGeneration

@c @implementation
package func lc_request_start(
    _ model: OpaquePointer!, _ kind: UnsafePointer<CChar>!, _ json: UnsafePointer<CChar>!, _ length: Int,
    _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> lc_status {
    Call.run(out) { () throws(HostError) in
        let model = try Call.model(model)
        let kind = try Call.text(kind, "kind")
        let request = try model.start(kind, Call.bytes(json, length, "request", atMost: model.room.bytes))
        guard let handle = HandleTable.shared.add(request, .request) else {
            request.free()
            throw Call.noHandle
        }
        return handle
    }
}

@c @implementation
package func lc_request_next(
    _ request: OpaquePointer!, _ milliseconds: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> lc_status {
    var status = LC_OK
    let failure = Call.run(out) { () throws(HostError) in
        switch try Call.request(request).read(within: milliseconds) {
        case .event(let event):
            guard let handle = HandleTable.shared.add(event, .event) else { throw Call.noHandle }
            return handle
        case .timeout: status = LC_TIMEOUT
        case .end: status = LC_END
        case .failed(let error): throw error
        case .freed: throw .usage("the request was freed")
        }
        return nil
    }
    return failure == LC_OK ? status : failure
}

@c @implementation
package func lc_request_cancel(_ request: OpaquePointer!) {
    guard case .value(let request) = HandleTable.shared.find(request, .request, HostRequest.self) else { return }
    request.cancel()
}

@c @implementation
package func lc_request_free(_ request: OpaquePointer!) {
    HandleTable.shared.remove(request, .request, HostRequest.self)?.free()
}

@c @implementation
package func lc_event_kind_of(_ event: OpaquePointer!) -> lc_event_kind { Call.event(event)?.kind ?? LC_NONE }

@c @implementation
package func lc_event_text(_ event: OpaquePointer!, _ length: UnsafeMutablePointer<Int>!) -> UnsafePointer<CChar>! {
    let text = Call.event(event)?.text
    length?.pointee = text?.1 ?? 0
    return text?.0
}

@c @implementation
package func lc_event_token(_ event: OpaquePointer!) -> Int32 {
    guard case .piece(let piece) = Call.event(event)?.content else { return -1 }
    return piece.id ?? -1
}

@c @implementation
package func lc_event_sample(_ event: OpaquePointer!) -> Int32 {
    guard case .piece(let piece) = Call.event(event)?.content else { return 0 }
    return Int32(clamping: piece.sample)
}

@c @implementation
package func lc_event_json(_ event: OpaquePointer!, _ length: UnsafeMutablePointer<Int>!) -> UnsafePointer<CChar>! {
    let json = Call.event(event)?.json
    length?.pointee = json?.1 ?? 0
    return json?.0
}

@c @implementation
package func lc_event_floats(
    _ event: OpaquePointer!, _ rows: UnsafeMutablePointer<Int>!, _ columns: UnsafeMutablePointer<Int>!
) -> UnsafePointer<Float>! {
    var floats: FloatRowsResult?
    if case .result(let result) = Call.event(event)?.content { floats = result.floats }
    rows?.pointee = floats?.rows ?? 0
    columns?.pointee = floats?.columns ?? 0
    return floats?.numbers.map { UnsafePointer($0) }
}

@c @implementation
package func lc_event_free(_ event: OpaquePointer!) {
    _ = HandleTable.shared.remove(event, .event, HostEvent.self)
}
