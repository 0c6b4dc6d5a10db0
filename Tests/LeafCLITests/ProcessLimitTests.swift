import Foundation
import GoldenSupport
import Testing

/// Limits of the shell: a command does its work, or says in a sentence why it cannot.
@Suite struct ProcessLimitTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    /// - Returns: nil where the system cannot even load the program.
    private func run(_ limit: String, _ command: String) throws -> Leafcutter.Run? {
        let run = try Leafcutter.shell(
            #"ulimit \#(limit); "$0" --version > /dev/null 2>&1 || exit 99; exec "$0" \#(command)"#, model,
            folder.path("x.leaf"), Golden.demoModel.path)
        return run.status == 99 ? nil : run
    }

    @Test(
        arguments: ["-v", "-d"],
        [
            #"generate "$1" 春 --max-tokens 2"#, #"plan "$1" --disk-rate 1GB"#, #"convert "$3" "$2" --force"#,
            #"tokenize "$1" 春"#, #"score "$1" --requests /dev/null"#,
        ]) func everyLimitOnAddressesIsEnoughOrIsNamed(kind: String, command: String) throws
    {
        var hasWorked = false
        for mebibytes in [6, 10, 14, 18, 24, 28, 32, 36, 40, 44, 48, 56, 64, 80, 96, 128, 256, 1024, 4096] {
            guard let run = try run("\(kind) \(mebibytes << 10)", command) else { continue }
            let last = run.error.split(separator: "\n").last ?? ""
            // 2 for the input that holds nothing.
            if run.status == 0 || run.status == 2 {
                hasWorked = true
            } else {
                #expect(run.status == 1 || run.status == 3, "\(mebibytes) MiB: \(run.error)")
                #expect(last.hasPrefix("leafcutter "), "\(mebibytes) MiB: \(run.error)")
                #expect(
                    last.contains("ulimit \(kind)") || last.contains("limit on processes"), "\(mebibytes) MiB: \(last)")
            }
        }
        #expect(hasWorked)
    }

    /// The kernels' frames alone are larger.
    @Test(arguments: [
        #"generate "$1" 春 --max-tokens 2"#, #"plan "$1" --disk-rate 1GB"#, #"convert "$3" "$2" --force"#,
    ]) func aSmallStackIsEnough(command: String) throws {
        for kibibytes in [40, 64, 128] {
            guard let run = try run("-s \(kibibytes)", command) else { continue }
            #expect(run.status == 0, "\(kibibytes) KiB: \(run.error)")
        }
    }

    /// As in a bare chroot: limits are asked of the system.
    @Test func aLimitNeedsNoProc() throws {
        // How much a program with shared libraries maps, nobody tells it without /proc.
        for limit in ["-s 40", "-s 128"] + (Leafcutter.isShipped ? ["-v 40000", "-v 65536"] : []) {
            let run = try Leafcutter.shell(
                #"""
                unshare -m bash -c 'mount -t tmpfs none /proc || exit 77
                    ulimit \#(limit); "$0" --version > /dev/null 2>&1 || exit 77
                    exec "$0" generate "$1" 春 --max-tokens 2 -q' "$0" "$1"
                """#, model)
            // 77, or 1 where nothing may be mounted; or the system cannot even load the program.
            guard run.status != 77, !run.error.contains("unshare") else { continue }
            let isRefused = run.status == 3 && run.error.contains("ulimit -v")
            #expect(
                run.status == 0 || limit.hasPrefix("-v") && isRefused, "\(limit): \(run.status) \(run.error)")
        }
    }

    @Test func aSmallStackTakesSignalsAsAnyOther() throws {
        let run = try Leafcutter.shell(
            #"""
            set -m; ulimit -s 128
            "$0" generate "$1" 春 --max-tokens 100000 --allow-empty --eos-id 0 --seed 1 -q > "$2" & pid=$!
            until [ -s "$2" ] || ! kill -0 $pid; do sleep 0.05; done
            kill -INT $pid; wait $pid; echo "status $?"
            """#, model, folder.path("out"))
        #expect(run.text == "status 130\n", "\(run.error)")
    }
}
