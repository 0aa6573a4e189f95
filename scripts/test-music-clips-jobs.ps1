<#
.SYNOPSIS
    Runs a Music Clips channel once and follows its job to the end.
.DESCRIPTION
    Starts the generation, then asks for the job every 3 seconds and prints stage, progress text, ids and heartbeat,
    until STAGE_50_SUNO_SUCCESS (exit code 0), STAGE_90_FAILED or STAGE_99_TIMEOUT (exit code 1).
    A refusal at the start, or a server that cannot be reached, ends with exit code 1 too.
    Works with Windows PowerShell 5.1 and PowerShell 7.
.EXAMPLE
    ./test-music-clips-jobs.ps1 -BaseUrl http://127.0.0.1:8787 -Token $token -ChannelId $channelId -UserId $userId
#>
param(
    [string]$BaseUrl = "http://127.0.0.1:8787",
    [Parameter(Mandatory = $true)][string]$Token,
    [Parameter(Mandatory = $true)][string]$ChannelId,
    [Parameter(Mandatory = $true)][string]$UserId,
    [double]$PollSeconds = 3
)

$ErrorActionPreference = "Stop"
$ProgressPreference = "SilentlyContinue"
try { [Console]::OutputEncoding = [System.Text.Encoding]::UTF8 } catch { }
# Old installations of Windows PowerShell offer TLS 1.0 only unless told otherwise.
$tls = [System.Net.ServicePointManager]
if ($tls::SecurityProtocol -ne 0) { $tls::SecurityProtocol = $tls::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12 }

$BaseUrl = $BaseUrl.TrimEnd("/")
$finalStages = @("STAGE_50_SUNO_SUCCESS", "STAGE_90_FAILED", "STAGE_99_TIMEOUT")
$patience = 5 # polls in a row that may go wrong before we give up
$headers = @{
    "Authorization" = "Bearer $Token"
    "x-user-id"     = $UserId
}

# The body of an answer that PowerShell threw as an error: each version keeps it somewhere else.
function Read-ErrorText($failure) {
    $response = $failure.Exception.Response
    if ($response.PSObject.Methods.Name -contains "GetResponseStream") {
        $stream = $response.GetResponseStream()
        if ($stream.CanSeek) { $stream.Position = 0 }
        $text = (New-Object System.IO.StreamReader($stream, [System.Text.Encoding]::UTF8)).ReadToEnd()
        if ($text) { return $text }
    }
    if ($failure.ErrorDetails) { return $failure.ErrorDetails.Message }
    return ""
}

# Asks, and gives back the status and the JSON whatever they are; status 0: no answer.
function Invoke-Api([string]$Method, [string]$Path, $Body) {
    $request = @{
        Method          = $Method
        Uri             = "$BaseUrl$Path"
        Headers         = $headers
        TimeoutSec      = 30
        UseBasicParsing = $true
    }
    if ($null -ne $Body) {
        $request.ContentType = "application/json; charset=utf-8"
        $request.Body = [System.Text.Encoding]::UTF8.GetBytes(($Body | ConvertTo-Json -Compress))
    }
    $status = 0
    $text = ""
    try {
        $response = Invoke-WebRequest @request
        $status = [int]$response.StatusCode
        # Read as UTF-8 by hand: Windows PowerShell takes JSON without a charset for Latin-1.
        $text = [System.Text.Encoding]::UTF8.GetString($response.RawContentStream.ToArray())
    } catch {
        if ($_.Exception.PSObject.Properties.Name -contains "Response" -and $_.Exception.Response) {
            $status = [int]$_.Exception.Response.StatusCode
            $text = Read-ErrorText $_
        } else {
            return @{ Status = 0; Json = [pscustomobject]@{ error = "UNREACHABLE"; message = $_.Exception.Message } }
        }
    }
    $json = $null
    try { $json = $text | ConvertFrom-Json } catch { }
    if ($null -eq $json) { $json = [pscustomobject]@{ error = "NOT_JSON"; message = $text } }
    return @{ Status = $status; Json = $json }
}

function Write-Refusal($answer) {
    Write-Host ""
    Write-Host "HTTP $($answer.Status): $($answer.Json.error)"
    Write-Host "Message: $($answer.Json.message)"
}

function Write-Job($job) {
    Write-Host ""
    Write-Host "Stage: $($job.stage)"
    Write-Host "Progress: $($job.progressText)"
    Write-Host "JobId: $($job.jobId)"
    Write-Host "Suno TaskId: $($job.sunoTaskId)"
    Write-Host "AudioUrl: $($job.audioUrl)"
    Write-Host "Error: $($job.error)"
    Write-Host "Heartbeat: $($job.heartbeat.secondsSinceUpdate) сек (stale: $($job.heartbeat.isStale))"
}

# 1. Start
$channel = [System.Uri]::EscapeDataString($ChannelId)
$started = Invoke-Api -Method "Post" -Path "/api/music-clips/channels/$channel/runOnce" -Body @{ userId = $UserId }
if ($started.Status -ne 202) {
    Write-Refusal $started
    if ($started.Json.jobId) { Write-Host "JobId: $($started.Json.jobId)" }
    exit 1
}
$jobId = $started.Json.jobId
Write-Host "JobId: $jobId"
Write-Host "Stage: $($started.Json.stage)"

# 2. Poll until the end
$inVain = 0
while ($inVain -lt $patience) {
    Start-Sleep -Milliseconds ([int]($PollSeconds * 1000))
    $answer = Invoke-Api -Method "Get" -Path "/api/music-clips/jobs/$jobId"
    if ($answer.Status -ne 200) {
        $inVain++
        Write-Refusal $answer
        continue
    }
    $inVain = 0
    Write-Job $answer.Json
    if ($finalStages -contains $answer.Json.stage) {
        if ($answer.Json.stage -eq "STAGE_50_SUNO_SUCCESS") { exit 0 }
        exit 1
    }
}
exit 1
