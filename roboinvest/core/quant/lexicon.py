"""The words that the headline scorer knows, with their weights.

A weight is the pull of a term on the score in the unit of one clear statement: 1 leans, 2 states,
3 leaves no doubt; positive is good for the holder of the share. Phrases outrank the words in them.
The lists are written for company, analyst and market headlines and hold no name of a company, a
person or a place. Deliberately absent: general feelings (love, ugly, fun), which say nothing about
a share.

Terms are separated by semicolons, in lower case, as the tokeniser of `sentiment` leaves them:
hyphens and "&" are gaps, apostrophes are dropped ("can't" is "cant").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PHRASES: Final[Mapping[float, str]] = {
    3.0: """
        beats estimates; beats expectations; tops estimates; tops expectations; beat estimates;
        beat expectations; topped estimates; better than expected; above expectations; above
        estimates; above consensus; ahead of expectations; ahead of estimates; eps beats; earnings
        beat; beats by; beat by; smashes estimates; smashes expectations; blows past; blew past;
        crushes estimates; crushes expectations; blowout earnings; blowout quarter; raises
        guidance; lifts guidance; raised guidance; ups guidance; boosts guidance; raises outlook;
        raised outlook; raises forecast; high end of guidance; upgraded; upgrade to; double
        upgrade; record revenue; record profit; record sales; record earnings; record quarter;
        record year; fda approval; fda approves; fda nod; all time high; turns bullish; turns
        bull; never been this bullish; never been more bullish; never been bullish; bullish on;
        met primary endpoint; meets primary endpoint; met all secondary endpoints; positive top
        line; turns profitable; swings to profit; surprise profit; trading buy; soars; soared;
        skyrockets; skyrocketed
    """,
    2.0: """
        bullish; upbeat; upgrades; surges; surged; rallied; rallies; jumps; jumped; beats;
        outperforms; outperforming; outperformed; rockets; rocketed; soar; soaring; optimistic;
        beat; tops; topped; raised; lifted; exceeds; exceeded; smashes; crushes; beats on; record
        high; new high; new highs; above record; year high; week high; month high; price target
        raised; stock climbs; shares jump; shares surge; shares climb; shares pop; special
        dividend; dividend hike; dividend increase; increases dividend; raises dividend; share
        repurchase; stock buyback; share buyback; buyback program; buyback; buybacks; repurchase
        program; takeover bid; buyout offer; takeover offer; breakout; breaks out; breaks through;
        golden cross; short squeeze; strong demand; strong growth; solid growth; robust growth;
        strong quarter; strong results; strong earnings; strong start; robust start; strong sales;
        solid results; positive data; positive results; positive study; positive interim; positive
        news; breakthrough therapy; fast track; priority review; wins approval; wins panel vote;
        earns approval; accelerated approval; accepts application; wins contract; awarded
        contract; wins order; lands contract; secures contract; new orders; joins bulls; room to
        run; upside; top pick; best idea; trade deal hopes; stimulus hopes; optimism; relief
        rally; risk on; snaps losing streak; higher on; trades higher; opens higher; closes
        higher; close higher; open higher; ends higher; exits bankruptcy; exit bankruptcy;
        confident on; growth streak; roaring back; perks up; good news; on fire; more than
        doubled; profit doubled; profits doubled; market beating; erases losses;
        pares losses; fears fade; fears ease; eases fears; calms fears
    """,
    1.5: """
        positive; solid; strong; stronger; strongest; robust; impressive; momentum; gained; gains;
        gain; advance; advances; jump; surge; bull; bounce; bounces; bouncing; hopes; hope;
        relief; rally; nice; hit record; hits record; boosts; boosted; accelerates; accelerating;
        confident; thriving; thrives; booming; profitability; profitable; favorable; favourable;
        beating; success; successful; succeeds; resilient; resilience; tailwind; tailwinds; in
        line; rebounds; rebounded; rebounding; recovers; recovered; turn around; turned around;
        attractive; settles lawsuit; settles probe; new jobs; create jobs; doubled; approval; gets
        boost; gets lift; outpaces; outpacing; outpaced; win approval; improvement; benefiting;
        benefit from; higher after; dividend raised; explosion to upside
    """,
    1.0: """
        strength; healthy; boost; boosting; rebound; recovering; buy; accumulate; boom; winner;
        outperform; overweight; approved; approves; clearance; clears; bargain; gaining; advanced;
        confidence; milestone; oversold; bottomed; reopens; resumes; benefits; benefit; improves;
        improved; improving; turnaround; uptrend; highs; spike in sales; secures; expansion;
        upswing; progress on; encouraged; hiring spree; efficacy; wins fda; orders for;
        undervalued; constructive; victory; recovery; settlement; settles with; trade deal;
        settlement talks
    """,
    0.5: """
        growth; growing; grows; grew; growth in; wins; win; dividend increased; discovery; good;
        great; above; green; hot; opportunity; license; squeeze; nears; better; huge; favor; likes
    """,
    -0.5: """
        below; bad; risk; risks; risky; problem; problems; trouble; troubled; troubles; tough;
        struggle; cautious; caution; coronavirus; virus; outbreak; uncertain; uncertainty;
        pressure; pressures; pressured; slow; slower; sell; overvalued; overbought; less; lose;
        losing; lost; crisis; costly; debt; weighs; drag; drags; threatens; threat; strike; delay;
        delayed; worst; selling; shortage; dispute; investigation; probe; bubble; fewer; stalls;
        backlash
    """,
    -1.0: """
        weakness; concern; concerns; concerned; warning; bear; bears; slowing; slowed; slows;
        slowdown; drop; fall; falling; fails; failed; failure; failing; delays; fraud; scandal;
        investigates; investigating; fined; penalty; recall; recalled; halted; suspension;
        struggling; struggles; struggled; struggle to; damage; damages; hurts; hurt; hurting;
        glut; recession; downturn; dilution; dilutive; hack; hacked; breach; ransomware; outage;
        shutdown; shutdowns; steps down; resigns; ousted; disruption; disrupts; disrupted; havoc;
        turmoil; chaos; panic; dip; lag; lagged; lagging; trails; rejects; rejected; rejection;
        lows; low; tension; tensions; insolvency; insolvent; default; defaults; defaulted;
        accused; alleges; jeopardy; threatened; shrinking; contraction; stalled; abandon;
        abandons; abandoned; scrapped; scraps; curtails; squeezed; overhang; sluggish; poor;
        bleak; gloomy; gloom; grim; dire; worry; worries; fear; fears; negative; hit by; hurt by;
        hits; brace for; braces for; saps; setback; wipe; wipes; wiped; toughens; ban; bans;
        banned; idled; closing; ugly; terrible; horrific; deterioration; sour; blames; blamed;
        corruption; fading; fades; suing; insufficient; impairment; weighs on; restructuring;
        shut; shuts; suspend; misleading; implicated
    """,
    -1.5: """
        weak; weaker; weakest; weakens; weakened; weakening; worse; worsens; worsened; worried;
        worrying; loses; loss; losses; warns; warn; warned; slump; slumps; slumped; decline;
        declines; declined; declining; drops; dropped; dropping; fell; falls; lawsuit; lawsuits;
        sues; sued; recalls; halts; halt; suspends; suspended; layoffs; layoff; lays off; job
        cuts; cut jobs; cutting jobs; axe jobs; disappoints; disappointed; disappointing;
        disappoint; disappointment; disappointments; missed; miss; headwind; headwinds;
        oversupply; bearish; closing stores; close stores; store closures; dumps; dumped; dumping;
        selloff; sell off; slips; slip; slipped; slipping; dips; dipped; retreat; retreats;
        retreated; lags; downside; pulls back; pull back; pullback; writedown; write down;
        writeoff; impairment charge; unsustainable; not sustainable; contracts in; skids;
        withdraws guidance; withdrew; lowest; plight; legal action; subpoena; subpoenaed;
        devastates; devastated; devastating; crushed; hit hard; hard hit; take a hit; underweight;
        underperform; off lows; loses bull
    """,
    -2.0: """
        bearish on; turns bearish; sinks; sank; sinking; tumbles; tumbled; tumble; plunges;
        plunged; plunge; slides; slid; slide; sliding; crash; crashes; crashed; crashing;
        plummets; plummeted; plummeting; collapses; collapsed; underperforms; underperformed;
        misses; misses on; shares fall; stock falls; falls after; profit warning; warns on; warns
        of; sales warning; lowers guidance; cuts guidance; lowers outlook; cuts outlook; cuts
        forecast; lowers forecast; trims outlook; weak outlook; weak guidance; soft guidance;
        below estimates; below expectations; below consensus; worse than expected; weaker than
        expected; lower than expected; shy of estimates; falls short; fell short; short of
        estimates; short of expectations; equity offering; stock offering; share offering;
        secondary offering; prices offering; going concern; dividend cut; cuts dividend; suspends
        dividend; suspension of dividend; suspension of quarterly dividend; net loss; swings to
        loss; surprise loss; wider loss; loss widens; bear market; death cross; sell rating;
        trading sell; reels in; loses a bull; goes short; short seller; short sellers; short
        report; street low; routs; rout; selling pressure; lower on; trades lower; opens lower;
        closes lower; open lower; close lower; lower open; ends lower; week low; new low; class
        action; accounting irregularities; restatement; clinical hold; failed trial; fails trial;
        declines to approve; complete response letter; supply glut; inventory build; hedge funds
        are dumping; hedge funds are selling; hits the skids; vicious spiral; give up gains; gives
        up gains; gave up gains; give back gains; erases gains; pares gains; steepest drop; worst
        day; worst week; worst month; pulls guidance
    """,
    -3.0: """
        downgraded; downgrades; downgrade to; files for bankruptcy; filed for bankruptcy; chapter
        11; delisted; delisting; misses estimates; misses expectations; missed estimates; missed
        expectations; misses by; eps misses; earnings miss; fda rejects; fda rejection; cut to
        sell
    """,
    -1.2: "bankruptcy; bankrupt; guilty; month low; year low; record low",
    0.0: """
        price cuts; rate cut; rate cuts; tax cut; tax cuts; interest rate; interest rates; rate
        hike; rate hikes; negative rates; negative rate; negative interest; junk bond; junk bonds;
        junk rated; read more; sign up; signs up; teams up; team up; ties up; up to; start up;
        start ups; pop up; come up; step up; steps up; give up; gave up; gives up; set up; sets
        up; catch up; back up; keep up; follow up; ramp up; wake up; speak up; stay up; bulks up;
        sizing up; opening up; going up; buy now; stocks to buy; should you buy; how to buy;
        agrees to buy; to buy; buys; best buy; buy back; top gainers; biggest movers; upgrades
        downgrades; top upgrades downgrades; biggest moves; growth stocks; income stocks; dividend
        yield; stop loss; weight loss; slow down; cool down; stripped down; shut down; lock down;
        down payment; breaking down; low cost; live updates; best and worst; best practices; buy
        or sell; earnings call; earnings preview; price target for; trade war; high yield; high
        school; high tech; high speed; strike price; relief program; relief package; debt relief;
        coronavirus relief; tax relief; high growth; box office; money supply;
        credit risk; risk management; at risk; carbon negative; to settle at;
        settlement prices; dial in
    """,
}

RISES: Final = """
    up; rise; rises; rose; rising; risen; raise; raises; raising; raised; climb; climbs; climbed;
    climbing; gain; gains; gained; higher; increase; increases; increased; increasing; jump;
    jumps; jumped; surge; surges; surged; surging; soar; soars; soared; soaring; lift; lifts;
    lifted; boost; boosts; boosted; hike; hikes; hiked; grow; grows; grew; growing; advance;
    advances; rally; rallies; rallied; spike; spikes; spiked; rebounds; rebounded; expand;
    expands; widens; widened; add; adds; added; strengthens; ups; upped;
    improve; improves; improved; accelerates; pops
"""
FALLS: Final = """
    down; fall; falls; fell; falling; fallen; drop; drops; dropped; dropping; cut; cuts; cutting;
    lower; lowers; lowered; lowering; decline; declines; declined; declining; decrease; decreases;
    decreased; reduce; reduces; reduced; reducing; slash; slashes; slashed; trim; trims; trimmed;
    slide; slides; slid; sink; sinks; sank; slip; slips; slipped; tumble; tumbles; tumbled;
    plunge; plunges; plunged; slump; slumps; slumped; shrink; shrinks; shrank; contract;
    contracts; contracted; dip; dips; dipped; narrow; narrows; narrowed; ease; eases; eased;
    easing; weakens; weakened; suspends; suspended; scraps; scrapped; halves; halved; plummets;
    plummeted; crash; crashes; crashed; downs; retreats; loses; lost; sheds; shed; axe; axes;
    delays; withdraws; allays; soothes; calms; drags
"""
"""Verbs and adverbs of movement; what they mean is settled by what moves."""

WELCOME: Final = """
    target; targets; pt; guidance; outlook; forecast; forecasts; estimate; estimates; view; views;
    dividend; dividends; payout; sales; comps; revenue; revenues; revs; profit; profits; earnings;
    income; margin; margins; eps; ebitda; ffo; share; shares; stock; stocks; price; prices;
    demand; traffic; growth; gdp; order; orders; bookings; subscribers; users; futures; dow;
    nasdaq; index; equities; backlog; production; output; deliveries; confidence; sentiment;
    buyback; hiring; starts; exports; jobs; payrolls; spending; volume; volumes; rating; buy;
    overweight; outperform; hold; neutral; perform; weight; underweight; underperform; sell; oil;
    crude; wti; gas; gold; copper; brent; gasoline; results; quarter; consumption; activity;
    manufacturing; pmi; imports; shipments; bitcoin; premarket; points; p
"""
"""What shareholders like to see rise."""

UNWELCOME: Final = """
    cost; costs; expense; expenses; loss; losses; debt; unemployment; jobless; claims; layoffs;
    tension; tensions; fear; fears; concern; concerns; worry; worries; uncertainty; risk; risks;
    inflation; death; deaths; toll; case; cases; infections; inventory; inventories; supplies;
    stockpiles; default; defaults; delinquencies; tariff; tariffs; vacancy; deficit; charge;
    charges; bankruptcies; burn; short; vix; pressure; glut; pain; rig
"""
"""What shareholders like to see fall."""

DULL: Final = """
    rate; rates; yield; yields; stake; curve; fee; fees; temperature; repo; reserve;
    range; tax; taxes; requirement; requirements; rents; rent; population; temperatures; haircuts;
    bid
"""
"""What moves without saying anything about a share: central-bank rates above all."""

STRENGTHENERS: Final = """
    sharply; significantly; massive; massively; strongly; surprisingly; steeply; dramatically;
    heavily; deeply; biggest; record; severely; substantially; highly; very; far; much; extremely;
    double
"""
SOFTENERS: Final = """
    slightly; modestly; marginally; somewhat; mildly; barely; little; may; might; could; possibly;
    potential; potentially; partly; nearly
"""
NEGATIONS: Final = """
    not; no; never; without; fail; fails; failed; cannot; cant; wont; isnt; arent; doesnt; didnt;
    dont; wasnt; werent; hasnt; havent; unlikely; neither; nor; avoid; avoids; avoided; dismisses;
    denies; few; shrugs; shrugging; defies; hardly; settle; settles; resolve; resolves; postpone
"""
CONCESSIONS: Final = "despite; although; though; notwithstanding; regardless"
"""After these the rest of the sentence is what is being set aside."""

RATINGS: Final[Mapping[int, str]] = {
    2: "strong buy; conviction buy; top pick",
    1: "buy; outperform; overweight; accumulate; add; positive; sector outperform",
    0: """
        hold; neutral; perform; market perform; peer perform; sector perform; equal weight;
        equalweight; in line; sector weight; market weight; fair value
    """,
    -1: "sell; underperform; underweight; reduce; negative; strong sell",
}
"""An analyst's verdicts as rungs."""

RATING_STARTS: Final = """
    started; starts; initiated; initiates; initiate; initiating; resumed; resumes; assumed;
    assumes; reinstated; reiterated; reiterates; coverage; maintained; rated; named; launched;
    launches
"""
"""Words after which a rating is a first or repeated verdict, not a change."""
