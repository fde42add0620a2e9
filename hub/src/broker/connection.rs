//! One client's connection: what it says goes to the exchange, what the exchange has for it goes to it.

use std::{sync::Mutex, time::Duration};

use jiff::Timestamp;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Packet,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    access::Who,
    exchange::{Exchange, Place, may_leave},
    lock,
    session::OUTBOX,
    wire::{Hello, LARGEST_PACKET, Wire},
};

/// The keep-alive of a client that wants none, seconds.
const KEEP_ALIVE: u16 = 60;
/// Messages that a client may have on their way to us.
const RECEIVE_MAXIMUM: u16 = 64;
/// A client's name for itself, bytes.
const LONGEST_NAME: usize = 128;
/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a client to its end.
pub(super) async fn serve<S>(mut wire: Wire<S>, mut hello: Hello, who: Who, exchange: &Mutex<Exchange>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (line, mut outbox) = mpsc::channel(OUTBOX);
    let is_nameless = hello.connect.client_id.is_empty();
    let place = match enter(&mut hello, who.clone(), line, exchange) {
        Ok(place) => place,
        Err(code) => {
            log::info!("the broker refused {who:?}: {code:?}");
            let _ = wire.write(&[Packet::ConnAck(ConnAck { session_present: false, code, properties: None })]).await;
            return;
        }
    };
    let _present = Present { place: &place, exchange };
    let silence = Duration::from_secs(u64::from(alive(&hello)) * 3 / 2);
    let ended = match wire.write(&[Packet::ConnAck(welcome(&place, &hello, is_nameless))]).await {
        Ok(()) => {
            lock(exchange).resume(&place, Timestamp::now());
            talk(&mut wire, &mut outbox, &place, silence, exchange).await
        }
        Err(e) => Err(e),
    };
    match ended {
        Ok(()) => log::debug!("{} left the broker", place.key),
        Err(e) => log::info!("the broker lost {}: {e:#}", place.key),
    }
    wire.close().await;
}

/// A client that is at the exchange, and is lost to it however its connection ends.
struct Present<'a> {
    place: &'a Place,
    exchange: &'a Mutex<Exchange>,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        lock(self.exchange).lost(self.place, Timestamp::now());
    }
}

fn enter(
    hello: &mut Hello,
    who: Who,
    line: mpsc::Sender<Packet>,
    exchange: &Mutex<Exchange>,
) -> Result<Place, ConnectReturnCode> {
    let name = &mut hello.connect.client_id;
    if name.len() > LONGEST_NAME {
        return Err(ConnectReturnCode::ClientIdentifierNotValid);
    }
    if name.is_empty() {
        *name = Uuid::new_v4().simple().to_string();
    }
    if hello.will.as_ref().is_some_and(|will| !may_leave(&who, will)) {
        return Err(ConnectReturnCode::NotAuthorized);
    }
    let place = lock(exchange).connect(who, &hello.connect, hello.will.take(), line, Timestamp::now());
    place.ok_or(ConnectReturnCode::QuotaExceeded)
}

fn alive(hello: &Hello) -> u16 {
    if hello.connect.keep_alive == 0 { KEEP_ALIVE } else { hello.connect.keep_alive }
}

fn welcome(place: &Place, hello: &Hello, is_nameless: bool) -> ConnAck {
    let properties = ConnAckProperties {
        session_expiry_interval: None,
        receive_max: Some(RECEIVE_MAXIMUM),
        max_qos: Some(1),
        retain_available: Some(1),
        max_packet_size: Some(LARGEST_PACKET),
        // Only then: a client that has named itself may take it for a fault.
        assigned_client_identifier: is_nameless.then(|| hello.connect.client_id.clone()),
        topic_alias_max: Some(0),
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: Some(1),
        subscription_identifiers_available: Some(0),
        shared_subscription_available: Some(0),
        server_keep_alive: Some(alive(hello)),
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    };
    ConnAck { session_present: place.resumed, code: ConnectReturnCode::Success, properties: Some(properties) }
}

/// Both ways, until one side ends it. What waits is written before more is read, so that a client that does not read is not
/// heard either.
async fn talk<S>(
    wire: &mut Wire<S>,
    outbox: &mut mpsc::Receiver<Packet>,
    place: &Place,
    silence: Duration,
    exchange: &Mutex<Exchange>,
) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut packets = Vec::new();
    // What it is told says nothing of whether it is there.
    let mut deadline = Instant::now() + silence;
    loop {
        tokio::select! {
            biased;
            some = outbox.recv_many(&mut packets, OUTBOX) => {
                let is_over = some == 0 || packets.iter().any(|packet| matches!(packet, Packet::Disconnect(_)));
                timeout(PATIENCE, wire.write(&packets)).await??;
                packets.clear();
                lock(exchange).written(place, Timestamp::now());
                if is_over {
                    anyhow::bail!("another connection has taken its place, it took too little, or this is the end");
                }
            }
            heard = timeout_at(deadline, wire.read()) => {
                let Ok(heard) = heard else {
                    say_goodbye(wire, DisconnectReasonCode::KeepAliveTimeout).await;
                    anyhow::bail!("nothing was heard of it for {} s", silence.as_secs());
                };
                deadline = Instant::now() + silence;
                let Some(packet) = heard? else { anyhow::bail!("it hung up") };
                let is_goodbye = matches!(packet, Packet::Disconnect(_));
                let taken = lock(exchange).hear(place, packet, Timestamp::now());
                if let Err(reason) = taken {
                    say_goodbye(wire, reason).await;
                    anyhow::bail!("it was cut off: {reason:?}");
                }
                if is_goodbye {
                    return Ok(());
                }
            }
        }
    }
}

async fn say_goodbye<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, reason: DisconnectReasonCode) {
    let _ = timeout(PATIENCE, wire.write(&[Packet::Disconnect(Disconnect::new(reason))])).await;
}
